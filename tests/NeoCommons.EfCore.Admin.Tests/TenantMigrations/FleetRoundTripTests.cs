using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>What a tenant costs on the wire when the fleet is migrated; no clock runs, so that no heartbeat counts.</summary>
public sealed class FleetRoundTripTests(TestServers servers)
{
    // Lock, path, history, three migrations, and resets before and after.
    private const int TripsOfATenant = 8;

    // That it is being migrated; and what came of it, with which the next one is claimed.
    private const int AdminTripsOfATenant = 2;

    private static readonly MigrateAllOptions OneAtATime = new() { Parallelism = 1 };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_of_a_run_costs_the_same_round_trips_however_many_there_are()
    {
        await using var fleet = await StartAsync();
        await MigrateAsync(fleet, "first", 2);

        var few = await MigrateAsync(fleet, "few", 5);
        var many = await MigrateAsync(fleet, "many", 25);

        Assert.Equal(20 * TripsOfATenant, many.Tenants - few.Tenants);
        Assert.Equal(20 * AdminTripsOfATenant, many.Admin - few.Admin);
    }

    [Fact]
    public async Task Where_nothing_is_pending_the_number_of_tenants_costs_nothing()
    {
        await using var fleet = await StartAsync();
        await MigrateAsync(fleet, "first", 2);
        var few = await RunAsync(fleet);

        await fleet.App.AdoptManyAsync(60);
        await fleet.App.MigrateAllAsync();
        var many = await RunAsync(fleet);

        Assert.Equal(few, many);
    }

    private Task<ProxiedFleet> StartAsync() =>
        ProxiedFleet.StartAsync(servers, time: new FakeTimeProvider(DateTimeOffset.UtcNow), poolTimeout: 60);

    private static async Task<(long Tenants, long Admin)> MigrateAsync(ProxiedFleet fleet, string name, int tenants)
    {
        await fleet.App.AdoptAsync([.. Enumerable.Range(1, tenants).Select(i => $"{name}{i}")]);
        return await RunAsync(fleet, tenants);
    }

    private static async Task<(long Tenants, long Admin)> RunAsync(ProxiedFleet fleet, int migrated = 0)
    {
        fleet.Tenants.ResetCounters();
        fleet.Admin.ResetCounters();
        var run = await fleet.Migrator.MigrateAllAsync(OneAtATime, ct: Ct);
        Assert.Equal((MigrationRunStatus.Completed, migrated), (run.Status, run.Done));
        return Count(fleet);
    }

    private static (long Tenants, long Admin) Count(ProxiedFleet fleet) =>
        (fleet.Tenants.Counters.RoundTrips, fleet.Admin.Counters.RoundTrips);
}
