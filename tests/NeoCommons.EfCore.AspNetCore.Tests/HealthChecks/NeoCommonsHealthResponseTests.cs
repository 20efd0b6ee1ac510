using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace NeoCommons.EfCore.AspNetCore.Tests.HealthChecks;

public sealed class NeoCommonsHealthResponseTests
{
    private const string Secret = "db-17.internal.example refused user 'boss'";

    [Fact]
    public async Task A_report_shows_each_check_and_each_connection()
    {
        var (json, text) = await WriteAsync(
            new HealthReportEntry(
                HealthStatus.Degraded,
                "1 of 2 connections in use can be used; not so: shop-us.",
                TimeSpan.FromMilliseconds(12.3456),
                null,
                new Dictionary<string, object>
                {
                    ["shop-us"] = new ConnectionHealth
                    {
                        Status = ConnectionHealthStatus.Unhealthy,
                        Reason = "Unreachable",
                        Type = ConnectionType.Shared,
                        Pool = new PoolMetrics { ConnectionName = "shop-us", Max = 20 },
                    },
                    ["server"] = Secret,
                    ["ageSeconds"] = 1.5,
                    ["listening"] = true,
                }
            )
        );

        Assert.Equal("Degraded", json.GetProperty("status").GetString());
        var check = json.GetProperty("checks").GetProperty("it");
        Assert.Equal("Degraded", check.GetProperty("status").GetString());
        Assert.StartsWith("1 of 2", check.GetProperty("description").GetString(), StringComparison.Ordinal);
        Assert.Equal(12.35, check.GetProperty("durationMilliseconds").GetDouble());
        var connection = check.GetProperty("data").GetProperty("shop-us");
        Assert.Equal("Unhealthy", connection.GetProperty("status").GetString());
        Assert.Equal("Unreachable", connection.GetProperty("reason").GetString());
        Assert.Equal("Shared", connection.GetProperty("type").GetString());
        Assert.Equal(20, connection.GetProperty("pool").GetProperty("max").GetInt32());
        Assert.Equal(1.5, check.GetProperty("data").GetProperty("ageSeconds").GetDouble());
        Assert.True(check.GetProperty("data").GetProperty("listening").GetBoolean());
        Assert.DoesNotContain("internal.example", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_that_was_not_used_has_no_pool()
    {
        var (json, text) = await WriteAsync(
            new HealthReportEntry(
                HealthStatus.Healthy,
                "1,000 connections.",
                TimeSpan.Zero,
                null,
                Enumerable
                    .Range(0, 1000)
                    .ToDictionary(
                        i => $"db-{i}",
                        object (i) =>
                            new ConnectionHealth
                            {
                                Status = ConnectionHealthStatus.Unknown,
                                Reason = "not used yet",
                                Type = ConnectionType.Shared,
                                Pool = new PoolMetrics { ConnectionName = $"db-{i}" },
                            }
                    )
            )
        );

        var connection = json.GetProperty("checks").GetProperty("it").GetProperty("data").GetProperty("db-7");
        Assert.Equal("not used yet", connection.GetProperty("reason").GetString());
        Assert.False(connection.TryGetProperty("pool", out _));
        Assert.InRange(text.Length, 1, 150_000);
    }

    [Fact]
    public async Task An_outage_and_how_full_a_pool_is_are_shown()
    {
        var (json, _) = await WriteAsync(
            new HealthReportEntry(
                HealthStatus.Unhealthy,
                "0 of 1 connections.",
                TimeSpan.Zero,
                null,
                new Dictionary<string, object>
                {
                    ["away"] = new ConnectionHealth
                    {
                        Status = ConnectionHealthStatus.Unhealthy,
                        Reason = "CircuitOpen",
                        Outage = new ConnectionOutage
                        {
                            Seconds = 12.3,
                            Cause = ConnectionUnavailableReason.Refused,
                            SqlState = "57P03",
                        },
                        Type = ConnectionType.Shared,
                        Pool = new PoolMetrics { ConnectionName = "away" },
                    },
                    ["full"] = new PoolHealth
                    {
                        Status = ConnectionHealthStatus.Degraded,
                        Reason = "saturated",
                        Idle = 0,
                        Active = 4,
                        Max = 4,
                        Pending = 2,
                        Saturation = 1,
                    },
                }
            )
        );

        var data = json.GetProperty("checks").GetProperty("it").GetProperty("data");
        Assert.Equal(
            """{"seconds":12.3,"cause":"Refused","sqlState":"57P03"}""",
            data.GetProperty("away").GetProperty("outage").GetRawText()
        );
        Assert.Equal(
            """{"status":"Degraded","reason":"saturated","idle":0,"active":4,"max":4,"pending":2,"saturation":1}""",
            data.GetProperty("full").GetRawText()
        );
    }

    [Fact]
    public async Task The_text_of_an_exception_is_not_shown()
    {
        // What the health check service makes of a check that throws: the exception's message as the description.
        var (json, text) = await WriteAsync(
            new HealthReportEntry(HealthStatus.Unhealthy, Secret, TimeSpan.Zero, new IOException(Secret), null)
        );

        Assert.Equal("Unhealthy", json.GetProperty("status").GetString());
        Assert.DoesNotContain("internal.example", text, StringComparison.Ordinal);
    }

    private static async Task<(JsonElement Json, string Text)> WriteAsync(HealthReportEntry entry)
    {
        var context = new DefaultHttpContext();
        var body = new MemoryStream();
        context.Response.Body = body;
        var report = new HealthReport(
            new Dictionary<string, HealthReportEntry> { ["it"] = entry },
            TimeSpan.FromMilliseconds(20)
        );

        await NeoCommonsHealthResponse.WriteAsync(context, report);

        Assert.StartsWith("application/json", context.Response.ContentType, StringComparison.Ordinal);
        var text = System.Text.Encoding.UTF8.GetString(body.ToArray());
        return (JsonDocument.Parse(text).RootElement, text);
    }
}
