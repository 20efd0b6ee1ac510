using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What a tenant costs a query: our ways beside those of others, and beside no tenants at all, in turn.</summary>
internal sealed class QueriesBenchmark
{
    private const int MostTenants = 10_000;

    private static readonly string[] WaysOfMostTenants =
    [
        Peers.Limit,
        Peers.LimitWithoutReset,
        Peers.Npgsql,
        Peers.NpgsqlAll,
        Peers.Set,
        Peers.Shared,
        Peers.SharedPrepared,
        Peers.SearchPath,
        Peers.Names,
        Peers.FastestOfMany,
    ];

    private readonly bool _quick;
    private readonly TextWriter _report;
    private readonly QueriesRun _run;
    private readonly IReadOnlyList<Tenant> _tenants;
    private readonly Dictionary<(string Workload, string Way), string> _roundTrips = [];

    private QueriesBenchmark(bool quick, TextWriter report)
    {
        (_quick, _report) = (quick, report);
        _run = new QueriesRun(report, rounds: quick ? 3 : 9);
        _tenants = [.. Enumerable.Range(0, quick ? 30 : 1_000).Select(i => MemoryRegistry.NewTenant(i))];
    }

    private int Operations => _quick ? 60 : 500;

    // Few enough that each of as many connections as callers meets the table of each.
    private int Workers => _quick ? 8 : 32;

    private int TenantsOfMany => _quick ? 10 : 100;

    public static Task RunAsync(bool quick, TextWriter report) => new QueriesBenchmark(quick, report).RunAsync();

    private async Task RunAsync()
    {
        await _report.WriteLineAsync(
            $"{_tenants.Count:N0} tenants at random, or as many as a table says; {Operations:N0} point reads, or fewer of what takes longer, in each of "
                + $"{_run.Rounds} rounds, one way after the other in an order that is shuffled for each. Ratios are of the same round with *{Peers.Limit}*: "
                + "their median, and the middle half of them. Round trips and bytes are of one operation; round trips are counted by a proxy, apart "
                + "from the times, of two tenants in turn. Each way has a pool of its own, of which no connection is closed because it sat idle. Before each table it does "
                + "that table's work once for each of its tenants, and then at random. Ours are without `pool_pre_ping`, and their rows are "
                + "`DEDICATED`, without shares of tenants: the others have neither. A data source for each tenant serves 50 tenants only, since "
                + "each keeps connections. A model per schema in EF's cache, which does not hold that many, does a twentieth of the operations "
                + $"for more than 30 tenants, and is not asked for each tenant before. *{Peers.NpgsqlPrepared}* has the server keep a plan from the first "
                + "execution on (`plan_cache_mode`), not from the sixth. The server runs with `fsync=off` and `full_page_writes=off`, and tables are "
                + $"vacuumed after those that write. With {Workers} workers there are {TenantsOfMany} tenants, and so many operations come before "
                + $"({QueriesRun.WarmUpsOfMany(Workers, TenantsOfMany):N0}, or fewer of what takes longer) that nearly every connection has met every tenant's table. "
                + $"With {MostTenants:N0} tenants there is another server, the driver keeps the last 5,000 statements where it prepares at the first use, and "
                + "each way comes to its tables with one connection. "
                + $"Behind PgBouncer all ways have the same connections of the server. {Peers.Metrics}"
        );
        await OfAllWaysAsync();
        if (!_quick)
        {
            await OfMostTenantsAsync();
        }

        var summary = new QueriesSummary(_report, _run.Results, _roundTrips);
        await summary.WriteAsync([
            OneTenant(Workload.Read),
            Workload.Read.Name,
            Workload.Insert.Name,
            Distant(Workload.Read),
            Distant(Workload.Insert),
            OfMany(Workload.Read),
            .. _quick
                ? Array.Empty<string>()
                : [OfTenants(Workload.Read, MostTenants), OfTenants(Workload.Insert, MostTenants)],
        ]);
        await new QueriesGoals(_report, _run.Results).WriteAsync();
        await summary.WriteFilesAsync(
            $"benchmarks/results/queries{(_quick ? "-quick" : "")}",
            [OneTenant(Workload.Read), Workload.Read.Name, Distant(Workload.Read)]
        );
    }

    private async Task OfAllWaysAsync()
    {
        // Each way has a pool of its own, of as many connections as there are callers, or one of four for each of fifty tenants.
        await using var server = await PostgresServer.StartAsync(new() { MaxConnections = 1_600 });
        await ShopDatabase.CreateAsync(server, _tenants, withRoles: true);
        await ShopDatabase.CreateSharedAsync(server, _tenants.Count);
        await ShopDatabase.VacuumAsync(server);
        await StraightAsync(server);
        await DistantAsync(server);
        await PooledAsync(server);
    }

    private async Task OfMostTenantsAsync()
    {
        Tenant[] tenants = [.. Enumerable.Range(0, MostTenants).Select(i => MemoryRegistry.NewTenant(i))];
        await Console.Error.WriteLineAsync($"queries: {tenants.Length:N0} schemas");
        await using var server = await PostgresServer.StartAsync();
        await ShopDatabase.CreateAsync(server, tenants);
        await ShopDatabase.CreateSharedAsync(server, tenants.Length);
        await ShopDatabase.VacuumAsync(server);
        await using var peers = new Peers(MemoryRegistry.RowOf(server), tenants);
        var some = peers.Of(WaysOfMostTenants);
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await _run.MeasureAsync(
                workload,
                OfTenants(workload, tenants.Length),
                some,
                Operations,
                workers: 1,
                tenants.Length
            );
            await _run.WritePreparedAsync(some);
            await ShopDatabase.VacuumAsync(server);
        }
    }

    private async Task StraightAsync(PostgresServer server)
    {
        await using var peers = new Peers(MemoryRegistry.RowOf(server), _tenants);
        var all = peers.All();
        await using var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        await using (var watched = new Peers(Roads.At(proxy.Host, proxy.Port, server), _tenants))
        {
            await CountAsync(watched.All(), proxy);
        }

        foreach (var tenants in _quick ? [1] : new[] { 1, 10, 100 })
        {
            await _run.MeasureAsync(
                Workload.Read,
                OfTenants(Workload.Read, tenants),
                all,
                Operations,
                workers: 1,
                tenants
            );
            await _run.WritePreparedAsync(all);
        }

        foreach (var workload in Workload.All.Where(workload => !_quick || workload.Weight < 3))
        {
            await _run.MeasureAsync(workload, workload.Name, all, Operations, workers: 1, _tenants.Count);
            if (workload == Workload.Read)
            {
                await _run.WritePreparedAsync(all);
            }
            else
            {
                await ShopDatabase.VacuumAsync(server);
            }
        }

        await _run.MeasureAsync(Workload.Insert, OneTenant(Workload.Insert), all, Operations, workers: 1, tenants: 1);
        await ShopDatabase.VacuumAsync(server);
        foreach (var workload in _quick ? [Workload.Read] : new[] { Workload.Read, Workload.Insert })
        {
            await _run.MeasureAsync(workload, OfMany(workload), all, Operations * 4, Workers, TenantsOfMany);
        }

        await ShopDatabase.VacuumAsync(server);
    }

    private async Task DistantAsync(PostgresServer server)
    {
        using var distance = new DistantServer(server.Host, server.Port, Roads.OneWay);
        await using var peers = new Peers(Roads.At("127.0.0.1", distance.Port, server), _tenants);
        // It is the distance that takes time here, for each way: those that the goals are of tell most of it.
        var some = _quick ? peers.Of(QueriesGoals.WaysAtADistance) : peers.All();
        foreach (var workload in new[] { Workload.Read, Workload.Insert })
        {
            await _run.MeasureAsync(workload, Distant(workload), some, Operations / 4, workers: 1, _tenants.Count);
        }

        await ShopDatabase.VacuumAsync(server);
    }

    private async Task PooledAsync(PostgresServer server)
    {
        await using var pooler = await Roads.PoolAsync(server);
        var row = Roads.At(pooler.Host, pooler.Port, server) with { Pooler = PoolerMode.Transaction };
        await using var peers = new Peers(row, _tenants);
        var all = peers.BehindTransactionPooler();
        foreach (var workload in _quick ? [Workload.Read] : new[] { Workload.Read, Workload.Insert })
        {
            var table = workload.Name + ", PgBouncer";
            await _run.MeasureAsync(workload, table, all, Operations, workers: 1, _tenants.Count);
            await ShopDatabase.VacuumAsync(server);
            await _run.MeasureAsync(
                workload,
                $"{table}, {TenantsOfMany} tenants, {Workers} workers",
                all,
                Operations * 4,
                Workers,
                TenantsOfMany
            );
        }
    }

    public static string OneTenant(Workload workload) => OfTenants(workload, 1);

    public static string Distant(Workload workload) => workload.Name + ", 0.5 ms each way";

    private static string OfTenants(Workload workload, int tenants) =>
        $"{workload.Name}, {(tenants == 1 ? "one tenant" : $"{tenants:N0} tenants")}";

    private string OfMany(Workload workload) => OfTenants(workload, TenantsOfMany) + $", {Workers} workers";

    private async Task CountAsync(IReadOnlyList<Peer> peers, TcpFaultProxy proxy)
    {
        // Of two tenants in turn. Where the server answers a part before the rest has come, the proxy counts one more: what is
        // counted nearly always is told, or else the least and the most.
        const int Times = 8;
        foreach (var peer in peers)
        {
            foreach (var workload in Workload.All)
            {
                await workload.Once(peer, 0, 1);
                await workload.Once(peer, 1, 1);
                var trips = new List<long>();
                for (var i = 0; i < Times; i++)
                {
                    proxy.ResetCounters();
                    await workload.Once(peer, i % 2, 1);
                    trips.Add(proxy.Counters.RoundTrips);
                }

                var (usual, times) = trips.CountBy(t => t).MaxBy(t => t.Value);
                _roundTrips[(workload.Name, peer.Name)] =
                    times >= Times - 2 ? $"{usual}" : $"{trips.Min()}-{trips.Max()}";
            }
        }
    }
}
