using System.Globalization;

namespace NeoCommons.EfCore;

/// <summary>What a tenant may take of what it shares with others; null: what the application's options say.</summary>
/// <remarks>
/// They hold in each process by itself. In <c>admin.tenants.limits</c> they are a JSON object with the keys that the members name.
/// </remarks>
public sealed record TenantLimits
{
    /// <summary>No limit of the tenant's own.</summary>
    public static TenantLimits None { get; } = new();

    /// <summary>The most connections that are open for the tenant at the same time; <c>max_connections</c>, 1 to 1,024.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>The most callers that wait for a connection of the tenant; <c>max_waiting</c>, 0 to 100,000.</summary>
    public int? MaxWaiting { get; init; }

    /// <summary>
    /// How long the server lets a statement of the tenant run; <c>statement_timeout_ms</c>, 1 ms to 1 day. A statement that takes
    /// longer is cancelled: <c>PostgresException</c> 57014.
    /// </summary>
    public TimeSpan? StatementTimeout { get; init; }

    /// <summary>The most commands of EF in a second; <c>commands_per_second</c>, 1 to 1,000,000.</summary>
    public int? CommandsPerSecond { get; init; }

    /// <summary>What is wrong with the values, one sentence each.</summary>
    internal IEnumerable<string> FindFaults(string prefix = "")
    {
        if (MaxConnections is < 1 or > 1024)
        {
            yield return $"{prefix}{nameof(MaxConnections)} is {MaxConnections}; it must be between 1 and 1,024.";
        }

        if (MaxWaiting is < 0 or > 100_000)
        {
            yield return $"{prefix}{nameof(MaxWaiting)} is {MaxWaiting}; it must be between 0 and 100,000.";
        }

        if (StatementTimeout is { } timeout && (timeout.TotalMilliseconds < 1 || timeout.TotalDays > 1))
        {
            yield return $"{prefix}{nameof(StatementTimeout)} is {timeout.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)} ms; it must be between 1 ms and 1 day.";
        }

        if (CommandsPerSecond is < 1 or > 1_000_000)
        {
            yield return $"{prefix}{nameof(CommandsPerSecond)} is {CommandsPerSecond}; it must be between 1 and 1,000,000.";
        }
    }
}
