using System.Diagnostics;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Lookup;

/// <summary>What it costs to find a tenant that is in memory, and its connection, as each new context does.</summary>
internal static class LookupBenchmark
{
    private const int Tenants = 1_000;
    private const int Rounds = 9;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var lookups = quick ? 1_000_000 : 10_000_000;
        await using var server = await PostgresServer.StartAsync();
        await using var app = await FleetApp.StartAsync(server, Tenants);
        var tenants = await app.Tenants.ListAsync().ToListAsync();
        foreach (var tenant in tenants)
        {
            await app.Tenants.FindAsync(tenant.Id);
            await app.Tenants.FindBySlugAsync(tenant.Slug);
        }

        await report.WriteLineAsync($"{Tenants} tenants in memory, {lookups} lookups, the median of {Rounds} rounds");
        await report.WriteLineAsync();
        await report.WriteLineAsync("| lookup | ns | bytes |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync("a tenant by id", i => app.Tenants.FindAsync(tenants[i].Id).Result!.Schema);
        await LineAsync("a tenant by slug", i => app.Tenants.FindBySlugAsync(tenants[i].Slug).Result!.Schema);
        await LineAsync(
            "a tenant by id, and its connection",
            i => app.Connections.FindAsync(app.Tenants.FindAsync(tenants[i].Id).Result!.ConnectionName).Result!
        );

        async Task LineAsync(string name, Func<int, object> find)
        {
            var times = new List<double>();
            long bytes = 0;
            for (var round = 0; round < Rounds; round++)
            {
                var before = GC.GetAllocatedBytesForCurrentThread();
                var watch = Stopwatch.StartNew();
                for (var i = 0; i < lookups / Rounds; i++)
                {
                    GC.KeepAlive(find(i % Tenants));
                }

                times.Add(watch.Elapsed.TotalNanoseconds / (lookups / Rounds));
                bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / (lookups / Rounds);
            }

            await report.WriteLineAsync(Numbers.Text($"| {name} | {Numbers.Median(times):0} | {bytes} |"));
        }
    }
}
