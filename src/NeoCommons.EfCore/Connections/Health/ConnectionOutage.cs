using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>For how long callers of a connection have been refused, and what kind of failure is the cause. Holds no text.</summary>
public sealed record ConnectionOutage
{
    /// <summary>For how long, in seconds.</summary>
    public required double Seconds { get; init; }

    /// <summary>The kind of the last failure; <see cref="ConnectionUnavailableReason.NoHost"/> of a row with <c>replica_hosts</c>.</summary>
    public required ConnectionUnavailableReason Cause { get; init; }

    /// <summary>
    /// With what the server, or a pooler before it, has answered last, as 53300 or 57P03; null where none did. A pooler says 08P01
    /// for whatever it is.
    /// </summary>
    public string? SqlState { get; init; }

    internal static ConnectionOutage Of(ConnectionUnavailableException? cause, TimeSpan lasting) =>
        Of(cause?.Reason ?? ConnectionUnavailableReason.Unreachable, lasting) with
        {
            SqlState = (cause?.InnerException as PostgresException)?.SqlState,
        };

    internal static ConnectionOutage Of(ConnectionUnavailableReason cause, TimeSpan lasting) =>
        new() { Seconds = Math.Round(lasting.TotalSeconds, 1), Cause = cause };
}
