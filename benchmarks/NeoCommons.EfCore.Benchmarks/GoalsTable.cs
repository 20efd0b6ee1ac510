namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What was aimed at, and what came of it.</summary>
internal sealed class GoalsTable
{
    private readonly List<string> _lines = [];

    public void AtMost(string goal, double measured, double limit) => Add(goal, measured, measured <= limit);

    /// <summary>The same of ratios: their median counts, and their spread is told.</summary>
    public void AtMost(string goal, (double Median, double From, double To) ratio, double limit) =>
        Add(goal, ratio, ratio.Median <= limit);

    public void AtLeast(string goal, double measured, double limit) => Add(goal, measured, measured >= limit);

    /// <summary>The same of ratios: their median counts, and their spread is told.</summary>
    public void AtLeast(string goal, (double Median, double From, double To) ratio, double limit) =>
        Add(goal, ratio, ratio.Median >= limit);

    /// <summary>What nothing was aimed at.</summary>
    public void Show(string what, (double Median, double From, double To) ratio) =>
        Add($"{what} (no goal)", ratio, isMet: true);

    /// <summary>Differences, in microseconds, that nothing was aimed at.</summary>
    public void ShowMore(string what, (double Median, double From, double To) more) =>
        Add($"{what} (no goal)", Numbers.Text($"{more.Median:0} us ({more.From:0} to {more.To:0})"), isMet: true);

    public async Task WriteAsync(TextWriter report)
    {
        await report.WriteLineAsync("| goal | measured (its spread, as the tables above have it) |");
        await report.WriteLineAsync("|---|---|");
        foreach (var line in _lines)
        {
            await report.WriteLineAsync(line);
        }
    }

    private void Add(string goal, double measured, bool isMet) => Add(goal, Numbers.Text($"{measured:0.00}"), isMet);

    private void Add(string goal, (double Median, double From, double To) ratio, bool isMet) =>
        Add(goal, Numbers.Text($"{ratio.Median:0.00} ({ratio.From:0.00}-{ratio.To:0.00})"), isMet);

    private void Add(string goal, string measured, bool isMet) =>
        _lines.Add($"| {goal} | {measured}{(isMet ? "" : " MISSED")} |");
}
