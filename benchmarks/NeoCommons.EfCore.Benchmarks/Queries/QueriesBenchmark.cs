using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What a tenant costs a query: our ways beside those of others, and beside no tenants at all, in turn.</summary>
internal sealed class QueriesBenchmark
{
    private readonly bool _quick;
    private readonly TextWriter _report;
    private readonly IReadOnlyList<Tenant> _tenants;
    private readonly Dictionary<(string Table, string Way), IReadOnlyList<Measured>> _measured = [];
    private readonly Dictionary<(string Workload, string Way), double> _roundTrips = [];
    private readonly HashSet<(Peer, Workload, int)> _compiled = [];

    private QueriesBenchmark(bool quick, TextWriter report)
    {
        (_quick, _report) = (quick, report);
        _tenants = [.. Enumerable.Range(0, quick ? 100 : 1_000).Select(i => MemoryRegistry.NewTenant(i))];
    }

    private int Rounds => _quick ? 3 : 9;

    private int Operations => _quick ? 100 : 300;

    // Fewer of what takes longer. What each way has of its own is compiled for good after that, as what they share is.
    private int WarmUps => _quick ? 120 : 1_500;

    public static Task RunAsync(bool quick, TextWriter report) => new QueriesBenchmark(quick, report).RunAsync();

    private async Task RunAsync()
    {
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 600 });
        await ShopDatabase.CreateAsync(server, _tenants, withRoles: true);
        await ShopDatabase.CreateSharedAsync(server, _tenants.Count);
        await ShopDatabase.VacuumAsync(server);
        await _report.WriteLineAsync(
            $"{_tenants.Count:N0} tenants at random; {Operations:N0} point reads, or fewer of what takes longer, in each of {Rounds} rounds, "
                + $"one way after the other. Ratios are of the same round with *{Peers.Limit}*: their median, and the middle half of "
                + "them. Round trips and bytes are of one operation; round trips are counted by a proxy, apart from the times. Ours "
                + "are without `pool_pre_ping` and without shares of tenants, which the others do not have. A data source for each tenant "
                + "serves 50 tenants only, since each keeps connections. The server runs with `fsync=off` and `full_page_writes=off`, and "
                + "tables are vacuumed in between. With 32 workers, sessions go on to meet tables that they have not seen."
        );
        await StraightAsync(server);
        await DistantAsync(server);
        await PooledAsync(server);
        await SummaryAsync();
        await new QueriesGoals(_report, _measured).WriteAsync();
        await WriteAsync();
    }

    private async Task StraightAsync(PostgresServer server)
    {
        await using var peers = new Peers(MemoryRegistry.RowOf(server), _tenants);
        var all = peers.All();
        await using var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        await using (var watched = new Peers(At(proxy.Host, proxy.Port, server), _tenants))
        {
            await CountAsync(watched.All(), proxy);
        }

        await WarmUpAsync(all);
        await MeasureAsync(Workload.Read, OneTenant(Workload.Read), all, Operations, workers: 1, tenants: 1);
        foreach (var workload in Workload.All)
        {
            await MeasureAsync(workload, workload.Name, all, Operations, workers: 1);
            await ShopDatabase.VacuumAsync(server);
        }

        await MeasureAsync(Workload.Insert, OneTenant(Workload.Insert), all, Operations, workers: 1, tenants: 1);

        foreach (var workload in _quick ? [Workload.Read] : new[] { Workload.Read, Workload.Insert })
        {
            // Each with as many connections as callers. What takes longest here would be half of a quick run.
            IReadOnlyList<Peer> some = _quick ? [.. all.Where(peer => peer.Slowness == 1)] : all;
            await MeasureAsync(workload, workload.Name + ", 32 workers", some, Operations * 4, workers: 32);
        }
    }

    private async Task DistantAsync(PostgresServer server)
    {
        using var distance = new DistantServer(server.Host, server.Port, TimeSpan.FromMilliseconds(0.5));
        await using var peers = new Peers(At("127.0.0.1", distance.Port, server), _tenants);
        var all = peers.All();
        await MeasureAsync(Workload.Read, Distant(Workload.Read), all, Operations / 4, workers: 1);
    }

    private async Task PooledAsync(PostgresServer server)
    {
        await using (var prepare = NpgsqlDataSource.Create(server.ConnectionString))
        {
            // Behind a pooler an unbound session must lead nowhere.
            await using var command = prepare.CreateCommand(
                $"ALTER ROLE \"{server.Username}\" IN DATABASE postgres SET search_path = neocommons_no_tenant"
            );
            await command.ExecuteNonQueryAsync();
        }

        await using var pooler = await PgBouncerServer.StartAsync(
            server,
            new() { Settings = { ["default_pool_size"] = "40" } }
        );
        var row = At(pooler.Host, pooler.Port, server) with { Pooler = PoolerMode.Transaction };
        await using var peers = new Peers(row, _tenants);
        var all = peers.BehindTransactionPooler();
        await WarmUpAsync(all);
        await MeasureAsync(Workload.Read, Workload.Read.Name + ", PgBouncer", all, Operations, workers: 1);
        await MeasureAsync(
            Workload.Read,
            Workload.Read.Name + ", PgBouncer, 32 workers",
            all,
            Operations * 4,
            workers: 32
        );
    }

    private static DatabaseConnection At(string host, int port, PostgresServer server) =>
        MemoryRegistry.RowOf(server) with
        {
            Host = host,
            Port = port,
        };

    public static string OneTenant(Workload workload) => workload.Name + ", one tenant";

    public static string Distant(Workload workload) => workload.Name + ", 0.5 ms each way";

    // Whatever the way, a session reads a table's description when it first meets the table.
    private async Task WarmUpAsync(IReadOnlyList<Peer> peers)
    {
        foreach (var peer in peers.Where(p => p.Slowness == 1))
        {
            for (var tenant = 0; tenant < Math.Min(_tenants.Count, peer.MostTenants); tenant++)
            {
                await peer.ReadAsync(tenant, 1);
            }
        }
    }

    private async Task CompileAsync(Peer peer, Workload workload, int workers, int tenants)
    {
        if (_compiled.Add((peer, workload, workers)))
        {
            await Measured.OfAsync(peer, workload, WarmUps, workers, tenants, round: 0);
        }
    }

    private async Task CountAsync(IReadOnlyList<Peer> peers, TcpFaultProxy proxy)
    {
        const int Times = 5;
        foreach (var peer in peers)
        {
            foreach (var workload in Workload.All)
            {
                await workload.Once(peer, 0, 1);
                proxy.ResetCounters();
                for (var i = 0; i < Times; i++)
                {
                    await workload.Once(peer, 0, 1);
                }

                _roundTrips[(workload.Name, peer.Name)] = (double)proxy.Counters.RoundTrips / Times;
            }
        }
    }

    private async Task MeasureAsync(
        Workload workload,
        string table,
        IReadOnlyList<Peer> peers,
        int operations,
        int workers,
        int? tenants = null
    )
    {
        await Console.Error.WriteLineAsync($"queries: {table}");
        foreach (var peer in peers)
        {
            await CompileAsync(peer, workload, workers, tenants ?? _tenants.Count);
        }

        var all = await Benchmarks.Rounds.InTurnAsync(
            Rounds,
            peers,
            (peer, round) => Measured.OfAsync(peer, workload, operations, workers, tenants ?? _tenants.Count, round)
        );
        await _report.WriteLineAsync();
        await _report.WriteLineAsync($"| {table} | us | ratio | middle half | bytes |");
        await _report.WriteLineAsync("|---|---|---|---|---|");
        var limit = all.Single(p => p.Way.Name == Peers.Limit).Measured;
        foreach (var (peer, measured) in all)
        {
            _measured[(table, peer.Name)] = measured;
            await _report.WriteLineAsync(
                Numbers.Text(
                    $"| {peer.Name} | {Measured.Cells(measured, limit)} | {Measured.MedianBytes(measured):0} |"
                )
            );
        }
    }

    /// <summary>All ways in one table: ratios to no tenants, and round trips.</summary>
    private async Task SummaryAsync()
    {
        string[] tables =
        [
            OneTenant(Workload.Read),
            Workload.Read.Name,
            Workload.Insert.Name,
            Distant(Workload.Read),
            Workload.Read.Name + ", 32 workers",
        ];
        await _report.WriteLineAsync();
        await _report.WriteLineAsync(
            $"| ratio to no tenants | {string.Join(" | ", tables)} | round trips: {string.Join(", ", Workload.All.Select(w => w.Name))} |"
        );
        await _report.WriteLineAsync(string.Concat(Enumerable.Repeat("|---", tables.Length + 2)) + "|");
        foreach (var way in _measured.Keys.Where(k => k.Table == tables[0]).Select(k => k.Way))
        {
            var ratios = tables.Select(table =>
                _measured.TryGetValue((table, way), out var measured)
                    ? Numbers.Text($"{Measured.Ratio(measured, _measured[(table, Peers.Limit)]):0.00}")
                    : "-"
            );
            var trips = Workload.All.Select(w => Numbers.Text($"{_roundTrips[(w.Name, way)]:0.#}"));
            await _report.WriteLineAsync($"| {way} | {string.Join(" | ", ratios)} | {string.Join(", ", trips)} |");
        }
    }

    private async Task WriteAsync()
    {
        var path = $"benchmarks/results/queries{(_quick ? "-quick" : "")}";
        await Csv.WriteAsync(
            path + ".csv",
            "table,way,round,microseconds,bytes",
            _measured.SelectMany(all =>
                all.Value.Select(
                    (m, round) =>
                        Numbers.Text(
                            $"\"{all.Key.Table}\",\"{all.Key.Way}\",{round + 1},{m.Microseconds:0.0},{m.Bytes:0}"
                        )
                )
            )
        );
        string[] tables = [OneTenant(Workload.Read), Workload.Read.Name, Distant(Workload.Read)];
        string[] ways = [.. _measured.Keys.Where(k => k.Table == tables[0]).Select(k => k.Way)];
        await Plots.BarsAsync(
            path + ".svg",
            $"Time of one operation beside \"{Peers.Limit}\"",
            "ratio",
            ways,
            tables.Select(table =>
                (
                    table,
                    (IReadOnlyList<double>)
                        [
                            .. ways.Select(way =>
                                Measured.Ratio(_measured[(table, way)], _measured[(table, Peers.Limit)])
                            ),
                        ]
                )
            )
        );
    }
}
