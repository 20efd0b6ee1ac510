using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using NeoCommons.EfCore.Benchmarks.Queries;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>What grows with the number of tenants: heap, models, connections, memory of the server, the first query.</summary>
internal static class ScaleBenchmark
{
    private const int Workers = 16;

    // Each has a connection at least, which takes the server 7 MB, and reads all types of the database when it is new.
    private const int MostDataSources = 100;

    private const string Connections =
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        int[] counts = quick ? [1, 30, 300] : [1, 10, 100, 1_000, 10_000];
        var (some, mostModels) = quick ? (30, 30) : (100, 1_000);
        Tenant[] tenants = [.. Enumerable.Range(0, counts[^1]).Select(i => MemoryRegistry.NewTenant(i))];
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = MostDataSources + 200 });
        await ShopDatabase.CreateAsync(server, tenants, moreTables: 4);
        await report.WriteLineAsync(
            $"A schema of five tables for each tenant, {tenants.Length:N0} of them. Each way serves the first so many tenants: each once, "
                + $"one after the other (first query), then at random with {Workers} callers, then with one (read), who has those callers' connections in turn, most of which meet a table for the first time. Heap: what a full collection leaves, "
                + "more than before the way was made. Server: private memory of its connections' processes. A data "
                + $"source per tenant is not asked to serve more than {MostDataSources:N0}, and a model per schema not more than {mostModels:N0}."
        );

        if (!quick)
        {
            // Whoever is first would compile for all.
            await OfAsync(server, tenants, count: 1, mostModels);
        }

        var all = new List<Footprint>();
        foreach (var count in counts)
        {
            all.AddRange(await OfAsync(server, tenants, count, mostModels));
        }

        foreach (var way in all.GroupBy(f => f.Way))
        {
            await WriteAsync(report, way.Key, [.. way]);
        }

        await GoalsAsync(report, all, some);
        await FilesAsync($"benchmarks/results/scale{(quick ? "-quick" : "")}", all);
    }

    private static async Task<List<Footprint>> OfAsync(
        PostgresServer server,
        Tenant[] tenants,
        int count,
        int mostModels
    )
    {
        var all = new List<Footprint>();
        var row = MemoryRegistry.RowOf(server);
        foreach (var way in Peers.NamesOfFew)
        {
            var most = way switch
            {
                Peers.DataSources => MostDataSources,
                Peers.Models or Peers.OwnModels => mostModels,
                _ => int.MaxValue,
            };
            if (count <= most)
            {
                await Console.Error.WriteLineAsync($"scale: {way}, {count:N0} tenants");
                all.Add(await OfAsync(server, new Peers(row, tenants), way, count));
            }
        }

        return all;
    }

    private static async Task<Footprint> OfAsync(PostgresServer server, Peers peers, string way, int count)
    {
        await using var _ = peers;
        await ClosedAsync(server);
        var before = Heap();
        var peer = peers.Few()[way]();
        var first = await FirstAsync(peer, count);
        var models = await ModelsAsync(peer, count);
        await BusyAsync(peer, count);
        var microseconds = await ReadAsync(peer, count);
        var pids = await PidsAsync(server);
        var heap = (Heap() - before) / 1048576.0;
        GC.KeepAlive(peer);
        return new Footprint(way, count, heap, models, pids.Count, MemoryOf(pids), first, microseconds);
    }

    private static async Task<double> FirstAsync(ContextPeer peer, int count)
    {
        var times = new List<double>(count);
        for (var tenant = 0; tenant < count; tenant++)
        {
            var watch = Stopwatch.StartNew();
            await peer.ReadAsync(tenant, 1);
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        return Numbers.Median(times);
    }

    private static async Task<int> ModelsAsync(ContextPeer peer, int count)
    {
        // A thousand tell; and hash codes, which do not keep the models alive.
        var models = new HashSet<int>();
        for (var tenant = 0; tenant < Math.Min(count, 1_000); tenant++)
        {
            models.Add(RuntimeHelpers.GetHashCode(await peer.ModelOfAsync(tenant)));
        }

        return models.Count;
    }

    private static Task BusyAsync(ContextPeer peer, int count) =>
        Task.WhenAll(
            Enumerable
                .Range(0, Workers)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        var random = new Random(worker);
                        for (var i = 0; i < 1_000 / Workers; i++)
                        {
                            await peer.ReadAsync(random.Next(count), 1);
                        }
                    })
                )
        );

    private static async Task<double> ReadAsync(ContextPeer peer, int count)
    {
        var random = new Random(1);
        var blocks = new List<double>();
        for (var block = 0; block < 9; block++)
        {
            var watch = Stopwatch.StartNew();
            for (var i = 0; i < 100; i++)
            {
                await peer.ReadAsync(random.Next(count), 1);
            }

            blocks.Add(watch.Elapsed.TotalMicroseconds / 100);
        }

        return Numbers.Median(blocks);
    }

    private static long Heap()
    {
        // What was closed just now is let go by finalizers, and what they held by the next collection.
        for (var i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static async Task ClosedAsync(PostgresServer server)
    {
        while ((await PidsAsync(server)).Count > 0)
        {
            await Task.Delay(100);
        }
    }

    private static async Task<List<int>> PidsAsync(PostgresServer server)
    {
        await using var connection = new NpgsqlConnection(server.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(Connections, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var pids = new List<int>();
        while (await reader.ReadAsync())
        {
            pids.Add(reader.GetInt32(0));
        }

        return pids;
    }

    private static double MemoryOf(IEnumerable<int> pids)
    {
        try
        {
            return pids.Sum(pid =>
                    File.ReadLines($"/proc/{pid}/smaps_rollup")
                        .Where(line => line.StartsWith("Anonymous:", StringComparison.Ordinal))
                        .Sum(line =>
                            double.Parse(
                                line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                                CultureInfo.InvariantCulture
                            )
                        )
                ) / 1024;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The server is in a container, or another user's.
            return double.NaN;
        }
    }

    private static async Task WriteAsync(TextWriter report, string way, IReadOnlyList<Footprint> all)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| {way}: tenants | heap, MiB | models | connections | server, MiB | first query, ms | read, us |"
        );
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        foreach (var f in all)
        {
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {f.Tenants:N0} | {f.HeapMiB:0.0} | {f.Models:N0} | {f.Connections:N0} | {f.ServerMiB:0} | {f.FirstMilliseconds:0.0} | {f.Microseconds:0} |"
                )
            );
        }
    }

    private static async Task GoalsAsync(TextWriter report, IReadOnlyList<Footprint> all, int fewer)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| goal, {all.Max(f => f.Tenants):N0} tenants | SearchPath | QualifiedNames |");
        await report.WriteLineAsync("|---|---|---|");
        await LineAsync(
            $"MiB of heap more than with {fewer} tenants: under 10",
            (most, some) => most.HeapMiB - some.HeapMiB,
            10
        );
        await LineAsync("models: 1", (most, _) => most.Models, 1);
        await LineAsync($"connections: at most {Workers}, one for each caller", (most, _) => most.Connections, Workers);

        Task LineAsync(string goal, Func<Footprint, Footprint, double> of, double limit)
        {
            var cells = new[] { Peers.SearchPath, Peers.Names }.Select(way =>
            {
                var mine = all.Where(f => f.Way == way).ToList();
                var value = of(mine.MaxBy(f => f.Tenants)!, mine.First(f => f.Tenants == fewer));
                return Numbers.Text($"{value:0.#}{(value > limit ? " MISSED" : "")}");
            });
            return report.WriteLineAsync($"| {goal} | {string.Join(" | ", cells)} |");
        }
    }

    private static async Task FilesAsync(string path, IReadOnlyList<Footprint> all)
    {
        await Csv.WriteAsync(
            path + ".csv",
            "way,tenants,heap_mib,models,connections,server_mib,first_query_ms,read_us",
            all.Select(f =>
                Numbers.Text(
                    $"\"{f.Way}\",{f.Tenants},{f.HeapMiB:0.00},{f.Models},{f.Connections},{f.ServerMiB:0.0},{f.FirstMilliseconds:0.00},{f.Microseconds:0}"
                )
            )
        );
        await PlotAsync("heap", "Managed heap", "MiB", f => f.HeapMiB);
        await PlotAsync("server", "Connections of the server", "connections", f => f.Connections);
        await PlotAsync("read", "A point read, one caller", "us", f => f.Microseconds);

        Task PlotAsync(string name, string title, string unit, Func<Footprint, double> of) =>
            Plots.LinesAsync(
                $"{path}-{name}.svg",
                title,
                "tenants",
                unit,
                all.GroupBy(f => f.Way)
                    .Select(way =>
                        (way.Key, (IReadOnlyList<(double, double)>)[.. way.Select(f => ((double)f.Tenants, of(f)))])
                    )
            );
    }
}
