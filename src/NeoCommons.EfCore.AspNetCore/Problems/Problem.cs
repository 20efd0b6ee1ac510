using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>What a caller is told of an exception.</summary>
/// <remarks>
/// The caller may be anybody: no text of an exception is shown, no host, user, connection or schema name. The types are
/// part of the API and never change.
/// </remarks>
internal sealed record Problem(int Status, string Type, string Title, string Detail)
{
    private const string TypePrefix = "urn:neocommons:";

    /// <summary>When it may be worth trying again; null where nobody knows.</summary>
    public TimeSpan? RetryAfter { get; private init; }

    /// <summary>The problem that the exception is, or null where it is none of ours.</summary>
    /// <param name="exception">What was thrown.</param>
    /// <param name="places">Where this application looks for a tenant, as the end of a sentence; null if not known.</param>
    public static Problem? Of(Exception exception, string? places)
    {
        var how = places ?? "as this service expects it";
        return exception switch
        {
            TenantNotFoundException => new(
                StatusCodes.Status404NotFound,
                TypePrefix + "tenant-not-found",
                "There is no such tenant",
                $"No tenant has the name that the request gives. Check its spelling. Tenants are named {how}."
            ),
            TenantNotResolvedException => new(
                StatusCodes.Status400BadRequest,
                TypePrefix + "tenant-not-resolved",
                "The request does not name one tenant",
                $"Name exactly one tenant: {how}."
            ),
            TenantUnavailableException e => new(
                StatusCodes.Status503ServiceUnavailable,
                TypePrefix + "tenant-unavailable",
                "The tenant is not available now",
                "The tenant exists and is not in use at the moment. Try again later, or ask who runs this service."
            )
            {
                RetryAfter = e.RetryAfter,
            },
            TenantQuotaExceededException e => new(
                StatusCodes.Status429TooManyRequests,
                TypePrefix + "tenant-quota-exceeded",
                "The tenant does too much",
                e.Quota == TenantQuota.CommandsPerSecond
                    ? "It has done all that it may do in a second. Try again in a moment, with fewer requests a second."
                    : "It uses all that it may use at the same time. Try again in a moment, with fewer requests at once."
            )
            {
                RetryAfter = e.RetryAfter,
            },
            TenantConflictException => new(
                StatusCodes.Status409Conflict,
                TypePrefix + "tenant-conflict",
                "The tenant cannot be created under this slug",
                "The slug is taken, or a tenant with it is being created. Choose another slug."
            ),
            InvalidSchemaNameException => new(
                StatusCodes.Status400BadRequest,
                TypePrefix + "invalid-name",
                "This cannot be a tenant's slug",
                $"Choose another one: {TenantSlug.Rule}. A few names are reserved."
            ),
            ConnectionUnavailableException e => Unavailable with { RetryAfter = e.RetryAfter },
            ConnectionNotFoundException or SecretDecryptionException => Unavailable,
            TenantIsolationException => new(
                StatusCodes.Status500InternalServerError,
                TypePrefix + "tenant-isolation",
                "The request was stopped",
                "It could have reached data of another tenant, so nothing was executed. This is a fault of the service, "
                    + "not of the request: report it, with the trace id if there is one."
            ),
            // EF wraps what a command throws while it saves.
            DbUpdateException { InnerException: NeoCommonsException inner } => Of(inner, places),
            _ => DriversOf(exception) switch
            {
                // A caller that gives up gets OperationCanceledException, which is none of ours.
                PostgresException
                {
                    SqlState: PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.LockNotAvailable
                } => TimedOut,
                { } e when e.IsTransient || EndedSession.Is(e) || PoolerAnswer.Passes(e) => Unavailable,
                _ => null,
            },
        };
    }

    private static Problem Unavailable { get; } =
        new(
            StatusCodes.Status503ServiceUnavailable,
            TypePrefix + "database-unavailable",
            "The data is not available now",
            "The database behind this request cannot be used at the moment. Try again in a moment; if that does not "
                + "help, tell who runs this service."
        );

    private static Problem TimedOut { get; } =
        new(
            StatusCodes.Status504GatewayTimeout,
            TypePrefix + "statement-timeout",
            "The request took too long",
            "The database has cancelled a statement of this request, most likely since it ran, or waited for a lock, for longer than it "
                + "may. Try again, or ask for less at once; if that does not help, tell who runs this service."
        );

    // What a command throws arrives as it is, or as EF wraps it.
    private static NpgsqlException? DriversOf(Exception? exception) =>
        exception switch
        {
            NpgsqlException e => e,
            InvalidOperationException or DbUpdateException or RetryLimitExceededException => DriversOf(
                exception.InnerException
            ),
            _ => null,
        };
}
