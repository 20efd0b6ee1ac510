using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore;
using Npgsql;

namespace WebSample.Tests;

/// <summary>Has servers of its own, since it changes a row.</summary>
public sealed partial class MetricsTests
{
    private static readonly string[] Tenants = ["acme", "globex", "initech"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_scrape_shows_connections_and_no_tenant_and_no_secret_and_has_all_that_the_dashboard_asks_for()
    {
        await using var shop = new ShopApp();
        foreach (var tenant in Tenants)
        {
            Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", tenant)).Status);
        }

        // A series begins with its first event: a pool that is replaced, one that is full, a command that fails.
        var connections = shop.Services.GetRequiredService<IDatabaseConnections>();
        await shop.AdminAsync(
            "UPDATE admin.database_connections SET pool_min_size = 0, pool_max_size = 1, pool_timeout_seconds = 1 "
                + "WHERE connection_name = 'shop-us'"
        );
        await using (var holding = await connections.OpenConnectionAsync("shop-us", Ct))
        {
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await connections.OpenConnectionAsync("shop-us", Ct)
            );
            await using var failing = new NpgsqlCommand("SELECT 1 / 0", holding);
            await Assert.ThrowsAsync<PostgresException>(() => failing.ExecuteNonQueryAsync(Ct));
        }

        var scrape = await shop.GetAsync("/metrics");

        Assert.Equal(HttpStatusCode.OK, scrape.Status);
        Assert.Matches(Waited("shop-eu"), scrape.Body);
        Assert.Matches(Executed("shop-us"), scrape.Body);
        var ids = await shop.Services.GetRequiredService<ITenantStore>().ListAsync(Ct).ToListAsync(Ct);
        Assert.Equal(Tenants, ids.Select(t => t.Slug).Order(StringComparer.Ordinal));
        foreach (
            var kept in ids.SelectMany(t => new[] { t.Slug, t.Id.ToString(), t.Schema.Value })
                .Append(shop.ServerOf("shop-eu").Password)
                .Append(shop.ServerOf("shop-us").Password)
        )
        {
            Assert.DoesNotContain(kept, scrape.Body, StringComparison.OrdinalIgnoreCase);
        }

        var series = SeriesName().Matches(scrape.Body).Select(m => m.Value).ToHashSet(StringComparer.Ordinal);
        using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(DashboardPath(), Ct));
        var asked = dashboard
            .RootElement.GetProperty("panels")
            .EnumerateArray()
            .SelectMany(p => p.GetProperty("targets").EnumerateArray())
            .SelectMany(t => AskedName().Matches(t.GetProperty("expr").GetString()!).Select(m => m.Value))
            .ToHashSet(StringComparer.Ordinal);
        Assert.InRange(asked.Count, 12, int.MaxValue);
        Assert.Empty(asked.Except(series).Order(StringComparer.Ordinal));
    }

    private static string Waited(string connection) =>
        $"db_client_connection_wait_time_seconds_count\\{{[^}}]*db_client_connection_pool_name=\"{connection}\"";

    private static string Executed(string connection) =>
        $"db_client_operation_duration_seconds_count\\{{[^}}]*db_client_connection_pool_name=\"{connection}\"";

    [GeneratedRegex("^[a-z_]+(?=[{ ])", RegexOptions.Multiline)]
    private static partial Regex SeriesName();

    // A series, and not a label: labels stand in braces, after "by", or after a quote.
    [GeneratedRegex(@"\b(db_client|neocommons)_[a-z_]+(?=\{)|\bneocommons_[a-z_]+$")]
    private static partial Regex AskedName();

    private static string DashboardPath([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "docs", "grafana", "neocommons.json");
}
