using System.Text.Json;
using System.Text.Json.Nodes;

namespace NeoCommons.EfCore.Admin;

/// <summary>The limits of a tenant as <c>admin.tenants.limits</c> holds them.</summary>
/// <remarks>Keys that are not known here may be a newer version's, or the application's own: they are left as they are.</remarks>
internal static class TenantLimitsText
{
    public const string MaxConnections = "max_connections";
    public const string MaxWaiting = "max_waiting";
    public const string StatementTimeout = "statement_timeout_ms";
    public const string CommandsPerSecond = "commands_per_second";

    /// <summary>Reads them; null and an empty object are no limits.</summary>
    /// <exception cref="FormatException">A known key has a value that it cannot have.</exception>
    public static TenantLimits Parse(string? json)
    {
        if (json is null or "{}")
        {
            return TenantLimits.None;
        }

        try
        {
            using var document = JsonDocument.Parse(json);
            var all = document.RootElement;
            var limits = new TenantLimits
            {
                MaxConnections = NumberOf(all, MaxConnections),
                MaxWaiting = NumberOf(all, MaxWaiting),
                StatementTimeout = NumberOf(all, StatementTimeout) is { } ms ? TimeSpan.FromMilliseconds(ms) : null,
                CommandsPerSecond = NumberOf(all, CommandsPerSecond),
            };
            return limits.FindFaults().FirstOrDefault() is { } fault ? throw new FormatException(fault) : limits;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new FormatException(
                $"The limits of the tenant cannot be read: {e.Message} Correct admin.tenants.limits, or use 'tenants limits'.",
                e
            );
        }
    }

    /// <summary>The object with these limits in place of those that it had; whatever else is in it stays.</summary>
    public static string Write(string json, TenantLimits limits)
    {
        var all = JsonNode.Parse(json)!.AsObject();
        Set(MaxConnections, limits.MaxConnections);
        Set(MaxWaiting, limits.MaxWaiting);
        Set(StatementTimeout, limits.StatementTimeout is { } time ? (int)Math.Ceiling(time.TotalMilliseconds) : null);
        Set(CommandsPerSecond, limits.CommandsPerSecond);
        return all.ToJsonString();

        void Set(string key, int? value)
        {
            if (value is null)
            {
                all.Remove(key);
            }
            else
            {
                all[key] = value;
            }
        }
    }

    private static int? NumberOf(JsonElement all, string key) =>
        all.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value.GetInt32() : null;
}
