using System.Diagnostics;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>The memory of the server's processes, each of which has met every table of every tenant.</summary>
/// <param name="Way">The way.</param>
/// <param name="Tenants">How many tenants.</param>
/// <param name="Connections">How many connections met them all.</param>
/// <param name="MiB">The private memory of their processes, all together, when it was most.</param>
/// <param name="Renewed">How many connections were opened in place of others.</param>
/// <param name="Seconds">How long it took.</param>
internal sealed record ServerMemory(string Way, int Tenants, int Connections, double MiB, int Renewed, double Seconds)
{
    private const int Samples = 20;

    public double MiBOfOne => MiB / Connections;

    /// <summary>Goes through the tenants, one after the other, with all connections at the same one.</summary>
    /// <remarks>All of them are leased at the same time, and there are no others: so each of them meets the tenant.</remarks>
    public static async Task<ServerMemory> MeasureAsync(
        Backends backends,
        string way,
        Func<int, ValueTask<WideContext>> create,
        int tenants,
        int connections
    )
    {
        var watch = Stopwatch.StartNew();
        var seen = new HashSet<int>();
        var most = double.NaN;
        var open = 0;
        var step = Math.Max(tenants / Samples, 1);
        for (var tenant = 0; tenant < tenants; tenant++)
        {
            var contexts = new WideContext[connections];
            for (var i = 0; i < connections; i++)
            {
                contexts[i] = await create(tenant);
            }

            await Task.WhenAll(contexts.Select(c => c.Database.OpenConnectionAsync()));
            await Task.WhenAll(contexts.Select(c => c.MeetAsync()));
            if (tenant % step == 0 || tenant == tenants - 1)
            {
                var pids = await backends.OfTenantsAsync();
                seen.UnionWith(pids);
                open = Math.Max(open, pids.Count);
                most = double.MaxNumber(most, Backends.MemoryOf(pids));
            }

            foreach (var context in contexts)
            {
                await context.Database.CloseConnectionAsync();
                await context.DisposeAsync();
            }
        }

        return new ServerMemory(way, tenants, open, most, seen.Count - open, watch.Elapsed.TotalSeconds);
    }
}
