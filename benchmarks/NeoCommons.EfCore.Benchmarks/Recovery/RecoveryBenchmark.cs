using System.Diagnostics;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Recovery;

/// <summary>How long callers notice a fault after it is over, beside EF and the driver under the same fault.</summary>
internal static class RecoveryBenchmark
{
    private const int Kills = 60;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var after = quick ? 3 : 15;
        var watched = TimeSpan.FromSeconds(after);
        await report.WriteLineAsync(
            $"An application of ours and one of EF and the driver as they come, four callers each, who write and read in turn. Both meet the "
                + $"same fault at once, and are watched for {after} s after it. Several hosts: a primary and its standby, the old primary listed "
                + "first. A call may wait 5 s for a connection, and 5 s for an answer."
        );
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            "| fault | goal: last failure after its end, s | way | last failure, s | failed | longest call, s | acknowledged and gone |"
        );
        await report.WriteLineAsync("|---|---|---|---|---|---|---|");
        await TwoHostsAsync(watched, report);
        if (!quick)
        {
            await OneHostAsync(watched, report);
            await SilentHostAsync(watched, report);
        }

        await Exhaustion.RunAsync(report);
    }

    private static async Task OneHostAsync(TimeSpan watched, TextWriter report)
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions
            {
                Source = ServerSource.Binaries,
                Settings = { ["fsync"] = "on", ["synchronous_commit"] = "on" },
            }
        );
        await CreateAsync(server);
        var at = (server.Host, server.Port);
        await using var both = new Both(await RecoveryWay.OursAsync(at, server), RecoveryWay.Plain(at, server));
        await both.WarmUpAsync();
        await both.MeetAsync(
            $"all sessions killed, {Kills} times, every 500 ms",
            "1",
            watched,
            async () =>
            {
                for (var i = 0; i < Kills; i++)
                {
                    await ExecuteAsync(
                        server,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            + "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                    );
                    await Task.Delay(i + 1 < Kills ? 500 : 0);
                }
            },
            server,
            losesNothing: true,
            report
        );
        await both.MeetAsync(
            "server stopped at once and started (fsync on)",
            "2",
            watched,
            () => server.RestartAsync(immediate: true),
            server,
            losesNothing: true,
            report
        );
    }

    private static async Task TwoHostsAsync(TimeSpan watched, TextWriter report)
    {
        await using var primary = await PostgresServer.StartAsync(
            new PostgresServerOptions { Source = ServerSource.Binaries }
        );
        await CreateAsync(primary);
        await using var standby = await primary.StartStandbyAsync();
        var (first, second) = ((primary.Host, primary.Port), (standby.Host, standby.Port));
        await using var both = new Both(
            await RecoveryWay.OursAsync(first, primary, second),
            RecoveryWay.Plain(first, primary, second)
        );
        await both.WarmUpAsync();
        await both.MeetAsync(
            "primary dies, standby is promoted",
            "1",
            watched,
            async () =>
            {
                await primary.StopAsync(immediate: true);
                await standby.PromoteAsync();
            },
            standby,
            losesNothing: false,
            report
        );

        // A write that the old one took is not on the new one.
        await both.MeetAsync(
            "the old primary comes back, not told of it",
            "0",
            watched,
            () => primary.StartAgainAsync(),
            standby,
            losesNothing: false,
            report
        );
    }

    private static async Task SilentHostAsync(TimeSpan watched, TextWriter report)
    {
        await using var primary = await PostgresServer.StartAsync(
            new PostgresServerOptions { Source = ServerSource.Binaries }
        );
        await CreateAsync(primary);
        await using var standby = await primary.StartStandbyAsync();
        await using var network = TcpFaultProxy.Start(primary.Host, primary.Port);
        var (first, second) = ((network.Host, network.Port), (standby.Host, standby.Port));
        await using var both = new Both(
            await RecoveryWay.OursAsync(first, primary, second),
            RecoveryWay.Plain(first, primary, second)
        );
        await both.WarmUpAsync();
        await both.MeetAsync(
            "the primary's network is lost, and the standby promoted",
            "",
            2 * watched,
            async () =>
            {
                network.Blackhole();
                await standby.PromoteAsync();
            },
            standby,
            losesNothing: false,
            report
        );
        network.Restore();
    }

    private static async Task CreateAsync(PostgresServer server) =>
        await ExecuteAsync(
            server,
            string.Concat(
                new[] { "plain", "tenant_t0" }.Select(s =>
                    $"CREATE SCHEMA {s}; CREATE TABLE {s}.entries (id int PRIMARY KEY);"
                )
            )
        );

    private static async Task ExecuteAsync(PostgresServer server, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(server.ConnectionString) { Pooling = false }.ConnectionString
        );
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private sealed class Both(params RecoveryWay[] ways) : IAsyncDisposable
    {
        private readonly List<RecoveryLoad> _loads = [.. ways.Select(way => new RecoveryLoad(way))];

        public async Task WarmUpAsync()
        {
            while (_loads.Any(load => load.Calls.Count(c => c.IsDone) < 50))
            {
                await Task.Delay(100);
            }
        }

        /// <summary>Brings a fault about, watches, and compares what was acknowledged with what the surviving server has.</summary>
        public async Task MeetAsync(
            string fault,
            string goal,
            TimeSpan watched,
            Func<Task> strike,
            PostgresServer survivor,
            bool losesNothing,
            TextWriter report
        )
        {
            var begun = Stopwatch.GetTimestamp();
            await strike();
            var over = Stopwatch.GetTimestamp();
            await Task.Delay(watched);
            foreach (var load in _loads)
            {
                var stuck = load.UnderWay.Where(c => c.Took > TimeSpan.FromSeconds(1));
                var calls = load.Calls.Where(c => c.Ended >= begun).Concat(stuck).ToList();
                var failed = calls.Where(c => !c.IsDone).ToList();
                var last = failed
                    .Where(c => c.Ended > over)
                    .Select(c => Stopwatch.GetElapsedTime(over, c.Ended))
                    .DefaultIfEmpty()
                    .Max();
                var longest = calls.Select(c => c.Took).DefaultIfEmpty().Max();

                // What a standby has not received yet when its primary dies is lost to everybody.
                var written = load
                    .Calls.Where(c => c is { IsDone: true, Id: not null } && (losesNothing || c.Begun > over))
                    .Select(c => c.Id!.Value);
                var gone = await CountMissingAsync(survivor, load.Way.Schema, [.. written]);
                await report.WriteLineAsync(
                    Numbers.Text(
                        $"| {fault} | {goal} | {load.Way.Name} | {last.TotalSeconds:0.0} | {failed.Count} | {longest.TotalSeconds:0.0} | {gone} |"
                    )
                );
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var load in _loads)
            {
                await load.DisposeAsync();
                await load.Way.DisposeAsync();
            }
        }

        private static async Task<long> CountMissingAsync(PostgresServer server, string schema, int[] written)
        {
            await using var source = NpgsqlDataSource.Create(server.ConnectionString);
            await using var command = source.CreateCommand(
                $"SELECT count(*) FROM unnest($1) AS written (id) WHERE id NOT IN (SELECT id FROM {schema}.entries)"
            );
            command.Parameters.Add(new() { Value = written });
            return (long)(await command.ExecuteScalarAsync())!;
        }
    }
}
