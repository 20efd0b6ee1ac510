using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;

namespace WebSample.Endpoints;

/// <summary>Answers a request that cannot be read with a problem that names the place.</summary>
internal sealed class UnreadableRequests(IProblemDetailsService problems) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(
        HttpContext httpContext,
        Exception exception,
        CancellationToken cancellationToken
    )
    {
        if (exception is not BadHttpRequestException unreadable)
        {
            return false;
        }

        httpContext.Response.StatusCode = unreadable.StatusCode;
        await problems.TryWriteAsync(
            new ProblemDetailsContext
            {
                HttpContext = httpContext,
                ProblemDetails =
                {
                    Status = unreadable.StatusCode,
                    Detail = unreadable.InnerException is JsonException { Path: { } path }
                        ? $"The body cannot be read at {path}: no such member is known, or its value is of another kind."
                        : unreadable.Message,
                },
            }
        );
        return true;
    }
}
