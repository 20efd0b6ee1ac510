using System.Globalization;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Answers our exceptions with problem details (RFC 9457).</summary>
/// <remarks>
/// Logs what it answers: since .NET 10 the middleware is silent about an exception that a handler took.
/// </remarks>
internal sealed class NeoCommonsExceptionHandler(
    IProblemDetailsService problemDetails,
    TimeProvider time,
    ILogger<NeoCommonsExceptionHandler> log
) : IExceptionHandler
{
    private readonly ToldRefusals _told = new(time);

    public async ValueTask<bool> TryHandleAsync(
        HttpContext httpContext,
        Exception exception,
        CancellationToken cancellationToken
    )
    {
        if (Problem.Of(exception, httpContext.Features.Get<TenantSources>()?.Description) is not { } problem)
        {
            return false;
        }

        Log(problem, exception);
        var response = httpContext.Response;
        response.StatusCode = problem.Status;
        if (problem.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        }

        var details = new ProblemDetails
        {
            Status = problem.Status,
            Type = problem.Type,
            Title = problem.Title,
            Detail = problem.Detail,
        };
        var context = new ProblemDetailsContext
        {
            HttpContext = httpContext,
            ProblemDetails = details,
            Exception = exception,
        };
        if (!await problemDetails.TryWriteAsync(context).ConfigureAwait(false))
        {
            // The caller takes neither JSON nor problem details; it still gets the right status, and the reason.
            await response
                .WriteAsJsonAsync(details, options: null, "application/problem+json", cancellationToken)
                .ConfigureAwait(false);
        }

        return true;
    }

    private void Log(Problem problem, Exception exception)
    {
        if (RefusalOf(exception) is var (whose, why))
        {
            // Each request says it again.
            if (_told.TryTell(whose, why))
            {
                AspNetCoreLogMessages.RequestTurnedAway(log, exception.Message);
            }
            else
            {
                AspNetCoreLogMessages.RequestTurnedAwayToo(log, exception.Message);
            }

            return;
        }

        switch (problem.Status)
        {
            case StatusCodes.Status500InternalServerError:
                AspNetCoreLogMessages.RequestStopped(log, exception, problem.Type);
                break;
            case StatusCodes.Status503ServiceUnavailable or StatusCodes.Status504GatewayTimeout:
                // Ours say what is wrong and what to do, and each request of a database that is away says it again.
                AspNetCoreLogMessages.RequestUnavailable(
                    log,
                    exception is NeoCommonsException ? null : exception,
                    exception.Message
                );
                break;
            default:
                AspNetCoreLogMessages.RequestRefused(log, exception, problem.Type);
                break;
        }
    }

    // Somebody has suspended the tenant, is migrating it, or has given it limits; or a warning has said that the database is out of
    // order.
    private static (string Whose, object Why)? RefusalOf(Exception exception) =>
        exception switch
        {
            TenantUnavailableException e => (e.Slug, e.Status),
            TenantQuotaExceededException e => (e.Slug, e.Quota),
            ConnectionUnavailableException { Reason: ConnectionUnavailableReason.CircuitOpen } e => (
                e.ConnectionName,
                e.Reason
            ),
            _ => null,
        };
}
