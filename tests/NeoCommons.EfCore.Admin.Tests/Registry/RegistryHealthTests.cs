using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>An admin database that is away is told where it is looked for: at the health endpoint.</summary>
public sealed class RegistryHealthTests(TestServers servers)
{
    private readonly LaterTime _time = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_degraded_while_the_changes_cannot_be_read_and_healthy_again_after()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(app.AdminConnectionString),
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:01",
            },
            b => b.Services.AddSingleton<TimeProvider>(_time)
        );
        // Its key is another one, and it has no use for passwords.
        await app.AdminAsync("UPDATE admin.database_connections SET is_active = false");
        await host.StartAsync(Ct);
        await Eventually.TrueAsync(async () =>
            await CheckAsync(host) is { Status: HealthStatus.Healthy } entry
            && entry.Data["listening"] is true
            && entry.Data.ContainsKey("ageSeconds")
        );

        proxy.RefuseConnections();
        proxy.Cut();
        await Eventually.TrueAsync(async () => (await CheckAsync(host)).Data["listening"] is false);
        _time.PutForward(TimeSpan.FromSeconds(12));

        var degraded = await CheckAsync(host);
        Assert.Equal(HealthStatus.Degraded, degraded.Status);
        Assert.Contains("what is known stays in force", degraded.Description, StringComparison.Ordinal);
        Assert.Contains("ready", degraded.Tags);
        proxy.Restore();
        await Eventually.TrueAsync(async () => (await CheckAsync(host)).Status == HealthStatus.Healthy);
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task It_is_degraded_where_they_have_never_been_read()
    {
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            configure: b => b.Services.AddSingleton<TimeProvider>(_time)
        );
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Status);

        _time.PutForward(TimeSpan.FromSeconds(16));

        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(host)).Status);
    }

    private static async Task<HealthReportEntry> CheckAsync(IHost host) =>
        (
            await host
                .Services.GetRequiredService<HealthCheckService>()
                .CheckHealthAsync(check => check.Name == RegistryHealthCheck.Name, Ct)
        ).Entries[RegistryHealthCheck.Name];
}
