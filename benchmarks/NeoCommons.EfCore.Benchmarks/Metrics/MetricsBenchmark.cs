using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore.Benchmarks.Fleet;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Metrics;

/// <summary>What it costs to count: alone, in a command, in an acquisition, and to read what was counted.</summary>
internal static class MetricsBenchmark
{
    private const int Rounds = 9;

    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (records, commands) = quick ? (1_000_000, 1_000) : (10_000_000, 10_000);
        await using var server = await PostgresServer.StartAsync();
        await report.WriteLineAsync($"The median of {Rounds} rounds; with and without in turn.");
        await report.WriteLineAsync();
        await report.WriteLineAsync("| counting alone | ns | bytes |");
        await report.WriteLineAsync("|---|---|---|");
        using (var instruments = new ConnectionInstruments())
        using (var meter = new PoolMeter(instruments, Options.Create(new ConnectionOptions()), TimeProvider.System))
        {
            var figures = meter.Track("benchmark");
            await LineAsync("an acquisition, nobody listens to our meter", records, () => Acquire(figures));
            using (Listen())
            {
                await LineAsync("an acquisition, somebody listens", records, () => Acquire(figures));
            }

            await LineAsync("a command", records, () => figures.Executed(0.001));
            await LineAsync("reading the metrics of a pool", records / 10_000, () => meter.Read("benchmark"));
        }

        var (on, off, opens) = (new List<double>(), new List<double>(), new List<double>());
        var plain = new List<double>();
        for (var round = 0; round < Rounds; round++)
        {
            off.Add(await ReadAsync(server, commands, collects: false, [], []));
            on.Add(await ReadAsync(server, commands, collects: true, opens, plain));
        }

        await report.WriteLineAsync();
        await report.WriteLineAsync("| on a server on this machine | us |");
        await report.WriteLineAsync("|---|---|");
        await report.WriteLineAsync(Numbers.Text($"| `SELECT 1`, its time not taken | {Numbers.Median(off):0.0} |"));
        await report.WriteLineAsync(Numbers.Text($"| `SELECT 1`, its time taken | {Numbers.Median(on):0.0} |"));
        await report.WriteLineAsync(
            Numbers.Text($"| opening and closing, plain Npgsql | {Numbers.Median(plain):0.00} |")
        );
        await report.WriteLineAsync(
            Numbers.Text($"| opening and closing, `IDatabaseConnections` | {Numbers.Median(opens):0.00} |")
        );

        async Task LineAsync(string name, int count, Action act)
        {
            act();
            var times = new List<double>();
            long bytes = 0;
            for (var round = 0; round < Rounds; round++)
            {
                var each = Math.Max(1, count / Rounds);
                var before = GC.GetAllocatedBytesForCurrentThread();
                var watch = Stopwatch.StartNew();
                for (var i = 0; i < each; i++)
                {
                    act();
                }

                times.Add(watch.Elapsed.TotalNanoseconds / each);
                bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / each;
            }

            await report.WriteLineAsync(Numbers.Text($"| {name} | {Numbers.Median(times):0} | {bytes} |"));
        }
    }

    private static void Acquire(PoolFigures figures) => figures.Acquired(TimeSpan.FromMicroseconds(3), created: false);

    // One at a time in the process: the driver's meter is everybody's.
    private static async Task<double> ReadAsync(
        PostgresServer server,
        int commands,
        bool collects,
        List<double> opens,
        List<double> plain
    )
    {
        await using var app = await FleetApp.StartAsync(server, tenants: 0, collectsCommands: collects);
        var connections = app.Databases;
        double read;
        await using (var connection = await connections.OpenConnectionAsync("db1"))
        {
            await using var command = new NpgsqlCommand("SELECT 1", connection);
            read = Time(commands, () => command.ExecuteNonQuery());
        }

        opens.Add(Time(commands, () => connections.OpenConnectionAsync("db1").Result.Dispose()));
        await using var source = NpgsqlDataSource.Create(server.GetConnectionString(app.Database));
        await using (await source.OpenConnectionAsync()) { }
        plain.Add(Time(commands, () => source.OpenConnectionAsync().Result.Dispose()));
        return read;
    }

    private static double Time(int count, Action act)
    {
        for (var i = 0; i < count / 5; i++)
        {
            act();
        }

        var watch = Stopwatch.StartNew();
        for (var i = 0; i < count; i++)
        {
            act();
        }

        return watch.Elapsed.TotalMicroseconds / count;
    }

    // As an exporter does, which aggregates besides.
    private static MeterListener Listen()
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == NeoCommonsTelemetry.Meter)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => { });
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => { });
        listener.Start();
        return listener;
    }
}
