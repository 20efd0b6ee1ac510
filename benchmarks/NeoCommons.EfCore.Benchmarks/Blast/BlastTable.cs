namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>The others' times, deed by deed.</summary>
/// <param name="report">Where to.</param>
internal sealed class BlastTable(TextWriter report)
{
    private const double Goal = 2;

    public async Task BeginAsync(string title)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {title} | median, ms | p99, ms | p99 of quiet rounds' (goal: {Goal:0}) |");
        await report.WriteLineAsync("|---|---|---|---|");
    }

    /// <summary>Measures in turn, and writes what came of it; the first deed is the quiet one.</summary>
    public async Task MeasureAsync(int rounds, BlastOthers others, IReadOnlyCollection<BlastDeed> deeds)
    {
        var measured = await Rounds.InTurnAsync(rounds, deeds, (deed, _) => others.BesideAsync(deed));
        var quiet = measured[0].Measured;
        foreach (var (deed, all) in measured)
        {
            await AddAsync(
                deed.Name,
                Numbers.Median([.. all.Select(a => a.Median)]),
                Numbers.Median([.. all.Select(a => a.P99)]),
                Numbers.Ratio(all.Select(a => a.P99), quiet.Select(q => q.P99)).Median
            );
        }
    }

    public Task AddAsync(string deed, double median, double p99, double ratio) =>
        report.WriteLineAsync(
            Numbers.Text($"| {deed} | {median:0.000} | {p99:0.000} | {ratio:0.00}{(ratio > Goal ? " MISSED" : "")} |")
        );
}
