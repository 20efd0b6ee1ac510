namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>What a tenant that misbehaves, or a server that is dead, costs the others: their times beside those of quiet rounds in between.</summary>
internal static class BlastBenchmark
{
    public static async Task RunAsync(bool quick, TextWriter report)
    {
        var (rounds, operations, answers) = quick ? (1, 60, 100) : (7, 2_000, 1_000);
        await using var app = await BlastApp.StartAsync();
        await report.WriteLineAsync(
            $"{BlastOthers.Count} tenants, one caller each, who open, ask `SELECT 1` and close, {operations} times each; a pool of "
                + $"{BlastApp.PoolSize}; the median of {rounds} rounds in turn. Ratios are of the same round. Another tenant does each of the "
                + "deeds; who raises errors in a loop is kept apart from the pool when he is found out, and after each of them his next one waits."
        );
        var table = new BlastTable(report);
        foreach (
            var (name, row, ask, isFirst) in new (string, string, Asking, bool)[]
            {
                ("contexts of a row with one host", BlastApp.OneHost, app.InContextAsync, true),
                ("raw connections of a row with one host", BlastApp.OneHost, app.OnConnectionAsync, false),
                (
                    "contexts and read-only contexts of a row with a standby",
                    BlastApp.TwoHosts,
                    app.InEitherContextAsync,
                    false
                ),
            }
        )
        {
            var guilty = new Guilty(app, row, ask);
            List<BlastDeed> deeds =
            [
                BlastDeed.Nothing,
                guilty.Sleeps(),
                guilty.Raises("53200"),
                guilty.Raises("XX000"),
            ];
            if (isFirst)
            {
                deeds.Add(guilty.IsFoundOut("53200"));
            }

            if (!quick)
            {
                deeds.Add(guilty.IsFoundOut("XX000"));
            }

            if (isFirst && !quick)
            {
                // It takes some seconds until he is found out.
                deeds.Add(guilty.Raises("53200", slowly: true));
            }

            await table.BeginAsync($"{name}: a ninth tenant meanwhile");
            await table.MeasureAsync(rounds, new BlastOthers(app, row, ask, operations), deeds);
        }

        await new Outage(app).RunAsync(rounds, operations, answers, report);
    }
}
