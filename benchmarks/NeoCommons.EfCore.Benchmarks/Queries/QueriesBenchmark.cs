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

    private QueriesBenchmark(bool quick, TextWriter report)
    {
        (_quick, _report) = (quick, report);
        _tenants = [.. Enumerable.Range(0, quick ? 100 : 1_000).Select(i => MemoryRegistry.NewTenant(i))];
    }

    private int Rounds => _quick ? 3 : 9;

    private int Operations => _quick ? 60 : 500;

    // Few enough that each of as many connections as callers meets the table of each.
    private int TenantsOfMany => _quick ? 10 : 100;

    public static Task RunAsync(bool quick, TextWriter report) => new QueriesBenchmark(quick, report).RunAsync();

    private async Task RunAsync()
    {
        // Each way has a pool of its own, of as many connections as there are callers.
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 1_000 });
        await ShopDatabase.CreateAsync(server, _tenants, withRoles: true);
        await ShopDatabase.CreateSharedAsync(server, _tenants.Count);
        await ShopDatabase.VacuumAsync(server);
        await _report.WriteLineAsync(
            $"{_tenants.Count:N0} tenants at random, or as many as a table says; {Operations:N0} point reads, or fewer of what takes longer, in each of "
                + $"{Rounds} rounds, one way after the other in an order that is shuffled for each. Ratios are of the same round with *{Peers.Limit}*: "
                + "their median, and the middle half of them. Round trips and bytes are of one operation; round trips are counted by a proxy, apart "
                + "from the times. Each way has a pool of its own, of which no connection is closed because it sat idle. Before each table it does "
                + "that table's work once for each of its tenants, and then at random. Ours are without `pool_pre_ping`, and their rows are "
                + "`DEDICATED`, without shares of tenants: the others have neither. A data source for each tenant serves 50 tenants only, since "
                + "each keeps connections. A model per schema in EF's cache, which does not hold that many, does a twentieth of the operations "
                + $"for more than 30 tenants, and is not asked for each tenant before. *{Peers.NpgsqlPrepared}* has the server keep a plan from the first "
                + "execution on (`plan_cache_mode`), not from the sixth. The server runs with `fsync=off` and `full_page_writes=off`, and tables are "
                + $"vacuumed after those that write. With 32 workers there are {TenantsOfMany} tenants, and so many operations come before "
                + $"({WarmUpsOfMany(32, TenantsOfMany):N0}, or fewer of what takes longer) that nearly every connection has met every tenant's table. "
                + $"Behind PgBouncer all ways have the same connections of the server. {Peers.Metrics}"
        );
        await StraightAsync(server);
        await DistantAsync(server);
        await PooledAsync(server);
        var summary = new QueriesSummary(_report, _measured, _roundTrips);
        await summary.WriteAsync([
            OneTenant(Workload.Read),
            Workload.Read.Name,
            Workload.Insert.Name,
            Distant(Workload.Read),
            Distant(Workload.Insert),
            OfMany(Workload.Read),
        ]);
        await new QueriesGoals(_report, _measured).WriteAsync();
        await summary.WriteFilesAsync(
            $"benchmarks/results/queries{(_quick ? "-quick" : "")}",
            [OneTenant(Workload.Read), Workload.Read.Name, Distant(Workload.Read)]
        );
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

        foreach (var tenants in _quick ? [1] : new[] { 1, 10, 100 })
        {
            await MeasureAsync(Workload.Read, OfTenants(Workload.Read, tenants), all, Operations, workers: 1, tenants);
            await WritePreparedAsync(all);
        }

        foreach (var workload in Workload.All.Where(workload => !_quick || workload.Weight < 8))
        {
            await MeasureAsync(workload, workload.Name, all, Operations, workers: 1, _tenants.Count);
            if (workload == Workload.Read)
            {
                await WritePreparedAsync(all);
            }
            else
            {
                await ShopDatabase.VacuumAsync(server);
            }
        }

        await MeasureAsync(Workload.Insert, OneTenant(Workload.Insert), all, Operations, workers: 1, tenants: 1);
        await ShopDatabase.VacuumAsync(server);
        foreach (var workload in _quick ? [Workload.Read] : new[] { Workload.Read, Workload.Insert })
        {
            await MeasureAsync(workload, OfMany(workload), all, Operations * 4, workers: 32, TenantsOfMany);
        }

        await ShopDatabase.VacuumAsync(server);
    }

    private async Task DistantAsync(PostgresServer server)
    {
        using var distance = new DistantServer(server.Host, server.Port, TimeSpan.FromMilliseconds(0.5));
        await using var peers = new Peers(At("127.0.0.1", distance.Port, server), _tenants);
        // It is the distance that takes time here, for each way: those that the goals are of tell most of it.
        var some = _quick ? peers.Of(QueriesGoals.WaysAtADistance) : peers.All();
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await MeasureAsync(workload, Distant(workload), some, Operations / 4, workers: 1, _tenants.Count);
        }

        await ShopDatabase.VacuumAsync(server);
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
        var table = Workload.Read.Name + ", PgBouncer";
        await MeasureAsync(Workload.Read, table, all, Operations, workers: 1, _tenants.Count);
        await MeasureAsync(
            Workload.Read,
            $"{table}, {TenantsOfMany} tenants, 32 workers",
            all,
            Operations * 4,
            workers: 32,
            TenantsOfMany
        );
    }

    private static DatabaseConnection At(string host, int port, PostgresServer server) =>
        MemoryRegistry.RowOf(server) with
        {
            Host = host,
            Port = port,
        };

    public static string OneTenant(Workload workload) => OfTenants(workload, 1);

    public static string Distant(Workload workload) => workload.Name + ", 0.5 ms each way";

    private static string OfTenants(Workload workload, int tenants) =>
        $"{workload.Name}, {(tenants == 1 ? "one tenant" : $"{tenants} tenants")}";

    private string OfMany(Workload workload) => OfTenants(workload, TenantsOfMany) + ", 32 workers";

    private static int WarmUpsOfMany(int workers, int tenants) => 3 * workers * tenants;

    // Whatever the way, a session reads a table's description when it first meets the table. After that, what the way has of its own is
    // compiled for good.
    private static async Task WarmUpAsync(Peer peer, Workload workload, int operations, int workers, int tenants)
    {
        if (workers > 1)
        {
            var times = WarmUpsOfMany(workers, tenants);
            await Measured.OfAsync(peer, workload, times, workers, tenants, round: 0);
            return;
        }

        if (peer.SlownessWith(tenants) == 1)
        {
            for (var tenant = 0; tenant < Math.Min(tenants, peer.MostTenants); tenant++)
            {
                await workload.Once(peer, tenant, 1);
            }
        }

        await Measured.OfAsync(peer, workload, operations * 3 / 2, workers, tenants, round: 0);
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
        int tenants
    )
    {
        await Console.Error.WriteLineAsync($"queries: {table}");
        foreach (var peer in peers)
        {
            await WarmUpAsync(peer, workload, operations, workers, tenants);
        }

        var all = await Benchmarks.Rounds.InTurnAsync(
            Rounds,
            peers,
            (peer, round) => Measured.OfAsync(peer, workload, operations, workers, tenants, round)
        );
        await WaysTable.WriteAsync(_report, table, all, _ => Peers.Limit);
        foreach (var (peer, measured) in all)
        {
            _measured[(table, peer.Name)] = measured;
        }
    }

    /// <summary>How many statements the ways that prepare them have on a connection, after a table.</summary>
    private async Task WritePreparedAsync(IReadOnlyList<Peer> peers)
    {
        var counts = new List<string>();
        foreach (var peer in peers.Where(peer => peer.Prepares))
        {
            counts.Add($"*{peer.Name}*: {await peer.CountPreparedAsync()}");
        }

        await _report.WriteLineAsync();
        await _report.WriteLineAsync($"Prepared statements on the connection by then: {string.Join("; ", counts)}.");
    }
}
