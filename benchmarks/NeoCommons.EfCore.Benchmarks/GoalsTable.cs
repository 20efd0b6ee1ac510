namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What was aimed at, and what came of it.</summary>
internal sealed class GoalsTable
{
    private readonly List<string> _lines = [];

    public void AtMost(string goal, double measured, double limit) => Add(goal, measured, measured <= limit);

    public void AtLeast(string goal, double measured, double limit) => Add(goal, measured, measured >= limit);

    /// <summary>What nothing was aimed at.</summary>
    public void Show(string what, double measured) => Add($"{what} (no goal)", measured, isMet: true);

    public async Task WriteAsync(TextWriter report)
    {
        await report.WriteLineAsync("| goal | measured |");
        await report.WriteLineAsync("|---|---|");
        foreach (var line in _lines)
        {
            await report.WriteLineAsync(line);
        }
    }

    private void Add(string goal, double measured, bool isMet) =>
        _lines.Add(Numbers.Text($"| {goal} | {measured:0.00}{(isMet ? "" : " MISSED")} |"));
}
