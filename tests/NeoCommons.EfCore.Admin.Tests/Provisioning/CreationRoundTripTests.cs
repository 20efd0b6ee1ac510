using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Admin.Tests.Contexts;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>What a new tenant costs on the wire: a session of each database, and what is done there.</summary>
public sealed class CreationRoundTripTests(TestServers servers)
{
    private const int Created = 20;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("migrations", 13, 16)]
    [InlineData("template", 21, 16)]
    [InlineData("warm pool", 22, 17)]
    public async Task A_new_tenant_costs_the_same_round_trips_however_many_there_are(
        string from,
        int tripsToTenants,
        int tripsToAdmin
    )
    {
        await using var fleet = await ProxiedFleet.StartAsync(
            servers,
            new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = from == "warm pool" ? $"{Created + 1}" : "0",
            },
            // No clock runs: nothing is tried again, or seen to now and then.
            new FakeTimeProvider(DateTimeOffset.UtcNow),
            poolTimeout: 60
        );
        await fleet.Stock.RefillAsync("db1", Ct);
        if (from == "template")
        {
            await fleet.Provisioner.RefreshTemplateAsync("db1", Ct);
        }

        // The first one opens the pools.
        await CreateAsync(0);
        fleet.Tenants.ResetCounters();
        fleet.Admin.ResetCounters();
        for (var i = 1; i <= Created; i++)
        {
            await CreateAsync(i);
            Assert.Equal(
                (i * tripsToTenants, i * tripsToAdmin),
                (fleet.Tenants.Counters.RoundTrips, fleet.Admin.Counters.RoundTrips)
            );
        }

        Assert.Equal(0L, await fleet.App.AdminAsync("SELECT count(*) FROM admin.warm_schemas"));

        Task CreateAsync(int i) =>
            CreationRoundTripTests.CreateAsync(
                fleet,
                $"t{i:0000}",
                from == "template" ? TenantSource.Template : TenantSource.Migrations
            );
    }

    [Fact]
    public async Task Relations_are_counted_now_and_then_and_close_to_the_limit_for_each_tenant()
    {
        const int Fleet = 300;
        await using var fleet = await ProxiedFleet.StartAsync(
            servers,
            settings: null,
            new FakeTimeProvider(DateTimeOffset.UtcNow),
            poolTimeout: 60
        );
        await CreateAsync(fleet, "first");
        await PartsApp.AddRowsAsync(fleet.App, Fleet);
        var trips = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            trips.Add(await CountAsync($"new{i}"));
        }

        // A hundredth of them come before they are counted again.
        Assert.Equal([13, 12, 12, 12, 13], trips);

        await fleet.App.AdminAsync("UPDATE admin.database_connections SET max_relations = 5");
        await Assert.ThrowsAsync<TenantConflictException>(() => CreateAsync(fleet, "full"));

        async Task<long> CountAsync(string slug)
        {
            fleet.Tenants.ResetCounters();
            await CreateAsync(fleet, slug);
            return fleet.Tenants.Counters.RoundTrips;
        }
    }

    private static Task CreateAsync(ProxiedFleet fleet, string slug, TenantSource source = TenantSource.Migrations) =>
        fleet.Provisioner.CreateAsync(
            new()
            {
                Slug = slug,
                Name = "t",
                ConnectionName = "db1",
                Source = source,
            },
            Ct
        );
}
