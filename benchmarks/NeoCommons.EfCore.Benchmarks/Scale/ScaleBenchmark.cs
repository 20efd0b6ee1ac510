using System.Diagnostics;
using System.Runtime.CompilerServices;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>What grows with the number of tenants: heap, models, pools, connections, memory of the server, the first query.</summary>
internal static class ScaleBenchmark
{
    private const int Workers = 16;
    private const int Samples = 3;

    // Each has a connection at least, which takes the server 7 MB, and reads all types of the database when it is new.
    private const int MostDataSources = 100;

    // So many tenants' tables are met by all connections; by fewer where there are more tenants, since each takes a millisecond.
    private const int MetByAll = 1_000;
    private const int FewerConnections = 2;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        int[] counts = quick ? [1, 5, 15] : [1, 10, 100, 1_000, 10_000];
        var (some, mostModels) = quick ? (5, 5) : (100, 1_000);
        Tenant[] tenants = [.. Enumerable.Range(0, counts[^1]).Select(i => MemoryRegistry.NewTenant(i))];
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = MostDataSources + 200 });
        await NoteAsync($"{tenants.Length:N0} schemas");
        await ShopDatabase.CreateAsync(server, tenants, moreTables: WideContext.Tables - 1);
        var registry = await ScaleRegistry.CreateAsync(server, tenants, ScaleWays.PoolSize);
        var run = new ScaleRun(new Backends(server), () => new ScaleWays(server, registry, tenants));
        await report.WriteLineAsync(
            $"A schema of {WideContext.Tables} tables for each tenant, {tenants.Length:N0} of them. Each way serves the first so many tenants: each once, "
                + $"one after the other (first query), then at random with {Workers} callers, then with one (read), who has those callers' connections in turn, most of which meet a table for the first time. "
                + "Ours finds tenants and passwords in an admin database on the same server, which it follows; a tenant's first query includes the registry's. "
                + "Heap: what a full collection leaves, more than when the application had started and used no tenant; the median of the samples, and the least and the most. "
                + "Pools: those of the driver, that of the admin database too. A data "
                + $"source per tenant is not asked to serve more than {MostDataSources:N0}, and a model per schema not more than {mostModels:N0}."
        );

        // Whoever is first would compile for all.
        foreach (var way in ScaleWays.All)
        {
            await run.SampleAsync(way, count: 1);
        }

        var all = new List<Footprints>();
        var memory = new List<ServerMemory>();
        foreach (var count in counts)
        {
            foreach (var way in ScaleWays.All.Where(way => count <= MostOf(way, mostModels)))
            {
                await NoteAsync($"{way}, {count:N0} tenants");
                var samples = new List<Footprint>();
                for (var i = 0; i < SamplesOf(way, count); i++)
                {
                    samples.Add(await run.SampleAsync(way, count));
                }

                all.Add(new Footprints(way, count, samples));
                if (IsMet(way, count))
                {
                    memory.Add(await run.MeetAsync(way, count, count > MetByAll ? FewerConnections : Workers));
                }
            }
        }

        foreach (var way in all.GroupBy(f => f.Way))
        {
            await WriteAsync(report, way.Key, [.. way]);
        }

        await WriteAsync(report, memory);
        await GoalsAsync(report, all, some);
        await ScaleFiles.WriteAsync($"benchmarks/results/scale{(quick ? "-quick" : "")}", all, memory);
    }

    private static int MostOf(string way, int mostModels) =>
        way switch
        {
            ScaleWays.DataSources => MostDataSources,
            ScaleWays.Models or ScaleWays.OwnModels => mostModels,
            _ => int.MaxValue,
        };

    // One schema is always the same to the server, and many models are what SET is: not again where it takes half a minute.
    private static bool IsMet(string way, int count) =>
        way switch
        {
            ScaleWays.Limit => count == 1,
            ScaleWays.Models or ScaleWays.OwnModels => count < 1_000,
            _ => true,
        };

    // Where a sample takes a minute there is one of it, and of those that no goal is about.
    private static int SamplesOf(string way, int count) =>
        way switch
        {
            _ when count < 30 => 1,
            ScaleWays.SearchPath or ScaleWays.Names => Samples,
            ScaleWays.DataSources => count < MostDataSources ? Samples : 1,
            ScaleWays.Models => count < 1_000 ? Samples : 1,
            _ => count <= 1_000 ? Samples : 1,
        };

    private static Task NoteAsync(string text) => Console.Error.WriteLineAsync($"scale: {text}");

    private static async Task WriteAsync(TextWriter report, string way, IReadOnlyList<Footprints> all)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| {way}: tenants | samples | heap, MiB | least-most | models | pools | connections | to the admin database | first query, ms | read, us |"
        );
        await report.WriteLineAsync("|---|---|---|---|---|---|---|---|---|---|");
        foreach (var f in all)
        {
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {f.Tenants:N0} | {f.Samples.Count} | {f.HeapMiB:0.0} | {f.LeastMiB:0.0} to {f.MostMiB:0.0} | {f.Models:N0} | {f.Pools:N0} | {f.Connections:N0} | {f.AdminConnections:N0} | {f.FirstMilliseconds:0.0} | {f.Microseconds:0} |"
                )
            );
        }
    }

    private static async Task WriteAsync(TextWriter report, IReadOnlyList<ServerMemory> all)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"Memory of the server: the private memory of its processes, each of which has met all {WideContext.Tables} tables of each of so many tenants, when it was most. "
                + $"All connections are leased at the same time for each tenant in turn, {Workers} of them, or {FewerConnections} where there are more than {MetByAll:N0} tenants; "
                + "a data source per tenant has one connection for each, which meets that tenant's tables only; and without tenants it is one schema. Renewed: connections that were closed and replaced meanwhile; ours are when they have met "
                + $"{new ConnectionOptions().MaxTablesPerConnection:N0} tables (`MaxTablesPerConnection`)."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync("| way | tenants | connections | MiB of each | MiB in all | renewed | s |");
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        foreach (var m in all.GroupBy(m => m.Way).SelectMany(way => way))
        {
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {m.Way} | {m.Tenants:N0} | {m.Connections:N0} | {m.MiBOfOne:0.0} | {m.MiB:0} | {m.Renewed} | {m.Seconds:0.0} |"
                )
            );
        }
    }

    private static async Task GoalsAsync(TextWriter report, IReadOnlyList<Footprints> all, int fewer)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| goal, {all.Max(f => f.Tenants):N0} tenants | SearchPath | QualifiedNames |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync(
            $"MiB of heap more than with {fewer} tenants, medians: under 10",
            (most, some) => most.HeapMiB - some.HeapMiB,
            10
        );
        await LineAsync(
            "the same, the most of the ones and the least of the others: under 10",
            (most, some) => most.MostMiB - some.LeastMiB,
            10
        );
        await LineAsync("models: 1", (most, _) => most.Models, 1);
        await LineAsync($"connections: at most {Workers}, one for each caller", (most, _) => most.Connections, Workers);

        Task LineAsync(string goal, Func<Footprints, Footprints, double> of, double limit)
        {
            var cells = new[] { ScaleWays.SearchPath, ScaleWays.Names }.Select(way =>
            {
                var mine = all.Where(f => f.Way == way).ToList();
                var value = of(mine.MaxBy(f => f.Tenants)!, mine.First(f => f.Tenants == fewer));
                return Numbers.Text($"{value:0.#}{(value > limit ? " MISSED" : "")}");
            });
            return report.WriteLineAsync($"| {goal} | {string.Join(" | ", cells)} |");
        }
    }

    private sealed class ScaleRun(Backends backends, Func<ScaleWays> newWays)
    {
        public async Task<Footprint> SampleAsync(string way, int count)
        {
            await backends.ClosedAsync();
            var pools = Backends.Pools();
            await using var ways = newWays();
            var create = await ways.StartAsync(way);
            var before = Heap.Bytes();
            var first = await FirstAsync(create, count);
            var models = await ModelsAsync(create, count);
            await BusyAsync(create, count);
            var microseconds = await ReadAsync(create, count);
            var (tenants, admin) = (await backends.OfTenantsAsync(), await backends.OfAdminAsync());
            pools = Backends.Pools() - pools;
            var heap = (Heap.Bytes() - before) / 1048576.0;
            GC.KeepAlive(create);
            return new Footprint(heap, models, pools, tenants.Count, admin.Count, first, microseconds);
        }

        public async Task<ServerMemory> MeetAsync(string way, int count, int connections)
        {
            await backends.ClosedAsync();
            await using var ways = newWays();
            var create = await ways.StartAsync(way);
            return await ServerMemory.MeasureAsync(
                backends,
                way,
                create,
                count,
                way == ScaleWays.DataSources ? 1 : connections
            );
        }

        private static async Task<double> FirstAsync(Func<int, ValueTask<WideContext>> create, int count)
        {
            var times = new List<double>(count);
            for (var tenant = 0; tenant < count; tenant++)
            {
                var watch = Stopwatch.StartNew();
                await ReadOneAsync(create, tenant);
                times.Add(watch.Elapsed.TotalMilliseconds);
            }

            return Numbers.Median(times);
        }

        private static async Task<int> ModelsAsync(Func<int, ValueTask<WideContext>> create, int count)
        {
            // A thousand tell; and hash codes, which do not keep the models alive.
            var models = new HashSet<int>();
            for (var tenant = 0; tenant < Math.Min(count, 1_000); tenant++)
            {
                await using var context = await create(tenant);
                models.Add(RuntimeHelpers.GetHashCode(context.Model));
            }

            return models.Count;
        }

        private static Task BusyAsync(Func<int, ValueTask<WideContext>> create, int count) =>
            Task.WhenAll(
                Enumerable
                    .Range(0, Workers)
                    .Select(worker =>
                        Task.Run(async () =>
                        {
                            var random = new Random(worker);
                            for (var i = 0; i < 1_000 / Workers; i++)
                            {
                                await ReadOneAsync(create, random.Next(count));
                            }
                        })
                    )
            );

        private static async Task<double> ReadAsync(Func<int, ValueTask<WideContext>> create, int count)
        {
            var random = new Random(1);
            var blocks = new List<double>();
            for (var block = 0; block < 9; block++)
            {
                var watch = Stopwatch.StartNew();
                for (var i = 0; i < 100; i++)
                {
                    await ReadOneAsync(create, random.Next(count));
                }

                blocks.Add(watch.Elapsed.TotalMicroseconds / 100);
            }

            return Numbers.Median(blocks);
        }

        private static async Task ReadOneAsync(Func<int, ValueTask<WideContext>> create, int tenant)
        {
            await using var context = await create(tenant);
            await context.ReadAsync();
        }
    }
}
