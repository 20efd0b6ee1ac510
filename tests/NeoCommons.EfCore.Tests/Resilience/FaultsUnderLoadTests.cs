using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>
/// Backends killed and a server restarted under load (T6, T7): nothing acknowledged is lost, nobody reads another's, and when
/// the fault is over nothing fails any more. <c>NEO_FAULT_SECONDS</c> makes them long.
/// </summary>
public sealed class FaultsUnderLoadTests(TestServers servers)
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("NEO_FAULT_SECONDS"), out var seconds) ? seconds : 3
    );

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_storm_of_killed_backends_is_over_when_it_is_over()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 6 });
        var tenants = await AddTenantsAsync(app, row);
        await using var load = Load.Start(app, tenants);
        await Eventually.TrueAsync(() => load.Operations > 50);

        var killed = 0L;
        for (var elapsed = TimeSpan.Zero; elapsed < Duration; elapsed += TimeSpan.FromMilliseconds(500))
        {
            await Task.Delay(500, Ct);
            killed += (long)
                (
                    await app.DirectAsync(
                        row,
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                            + $"WHERE datname = '{row.Database}' AND pid <> pg_backend_pid()"
                    )
                )!;
        }

        Assert.InRange(killed, 1, long.MaxValue);

        // Who meets a dead connection has the driver throw away the others.
        await AssertRecoversAsync(load, row, TimeSpan.FromSeconds(1), mostFailures: row.MaxPoolSize);
    }

    [Fact]
    public async Task A_server_that_is_restarted_loses_nothing_that_it_has_acknowledged()
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions { Settings = { ["fsync"] = "on", ["synchronous_commit"] = "on" } },
            Ct
        );
        Assert.SkipUnless(server.DataDirectory is not null, "A server of somebody else is not restarted.");
        await using var app = new RuntimeApp(server);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 6 });
        var other = await app.AddDatabaseAsync(_ => OnAnotherServer(row));
        var tenants = await AddTenantsAsync(app, row);
        await using var load = Load.Start(app, tenants);
        await Eventually.TrueAsync(() => load.Operations > 50);

        await server.StopAsync(immediate: true, Ct);

        // While it is down, nobody of another server notices.
        await using (var connection = await app.Connections.OpenConnectionAsync(other.Name, Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        }

        await Eventually.TrueAsync(() => load.Failures > 0);
        await server.StartAgainAsync(Ct);
        await app.DirectAsync(row, "SELECT 1");

        // Who is refused waits for as long as he is told to, and then for the same time again; ten times that.
        await AssertRecoversAsync(load, row, TimeSpan.FromSeconds(2), mostFailures: 20);
    }

    private static async Task AssertRecoversAsync(
        Load load,
        DatabaseConnection row,
        TimeSpan promised,
        int mostFailures
    )
    {
        load.EndOfFaults();
        await Eventually.TrueAsync(() => load.HasRecovered);
        var after = load.Operations;
        await Eventually.TrueAsync(() => load.Operations > after + 200);

        Assert.Equal(0, load.Relapses);
        load.Recovery.AssertWithin(promised);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{load.Operations} operations, {load.Failures} failed; after the fault {load.MostFailuresOfPatient} of one worker at most."
        );
        Assert.InRange(load.MostFailuresOfPatient, 0, mostFailures);
        await load.AssertNothingLostAsync(row);
    }

    private DatabaseConnection OnAnotherServer(DatabaseConnection row) =>
        row with
        {
            Name = RuntimeApp.NewName(),
            Host = servers.Postgres.Host,
            Port = servers.Postgres.Port,
            Database = "postgres",
            Username = servers.Postgres.Username,
            Password = Secret.FromText(servers.Postgres.Password),
        };

    private static async Task<IReadOnlyList<Tenant>> AddTenantsAsync(RuntimeApp app, DatabaseConnection row)
    {
        var tenants = new List<Tenant>();
        for (var i = 0; i < 5; i++)
        {
            tenants.Add(await app.AddTenantAsync(row, $"t{i}"));
        }

        return tenants;
    }
}
