using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Writes health reports as JSON that anybody may see.</summary>
public static class NeoCommonsHealthResponse
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter() },
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LeaveOutUnusedPools } },
    };

    /// <summary>Writes the report: overall status, and each check with status, description, duration and connections.</summary>
    /// <remarks>
    /// <para>
    /// Use it as
    /// <c>app.MapHealthChecks("/health", new() { ResponseWriter = NeoCommonsHealthResponse.WriteAsync })</c>.
    /// </para>
    /// <para>
    /// Data are the <see cref="ConnectionHealth"/> of each connection and the <see cref="PoolHealth"/> of each pool, by the
    /// connection's name, and numbers and truths; a connection that this process has not used is without its pool. Left out, since it
    /// may hold host names or the text of an exception: other data, and the description of a check that ended with an
    /// exception.
    /// </para>
    /// </remarks>
    public static Task WriteAsync(HttpContext context, HealthReport report)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(report);
        var answer = new
        {
            report.Status,
            DurationMilliseconds = Milliseconds(report.TotalDuration),
            Checks = report.Entries.ToDictionary(
                entry => entry.Key,
                entry => new
                {
                    entry.Value.Status,
                    Description = entry.Value.Exception is null ? entry.Value.Description : "The check itself failed.",
                    DurationMilliseconds = Milliseconds(entry.Value.Duration),
                    Data = Shown(entry.Value),
                },
                StringComparer.Ordinal
            ),
        };

        // In one piece: written bit by bit, the answer of a thousand connections would be flushed, and waited for, many times.
        var json = JsonSerializer.SerializeToUtf8Bytes(answer, Json);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = json.Length;
        return context.Response.Body.WriteAsync(json, context.RequestAborted).AsTask();
    }

    private static Dictionary<string, object>? Shown(HealthReportEntry entry)
    {
        var shown = entry
            .Data.Where(d => d.Value is ConnectionHealth or PoolHealth or bool or int or long or double)
            .ToDictionary(StringComparer.Ordinal);
        return shown.Count == 0 ? null : shown;
    }

    // A process uses few of a thousand connections, and what it has not used has no figures.
    private static void LeaveOutUnusedPools(JsonTypeInfo type)
    {
        if (type.Type == typeof(ConnectionHealth))
        {
            var pool = type.Properties.Single(p => p.PropertyType == typeof(PoolMetrics));
            pool.ShouldSerialize = static (_, value) => value is PoolMetrics { Max: > 0 };
        }
    }

    private static double Milliseconds(TimeSpan duration) => Math.Round(duration.TotalMilliseconds, 2);
}
