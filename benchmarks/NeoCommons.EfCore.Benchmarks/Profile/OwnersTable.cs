namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>Whose code takes how much.</summary>
internal static class OwnersTable
{
    public static async Task WriteAsync(TextWriter report, string title, IReadOnlyList<Profiled> ways)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync(
            $"| {title} | {string.Join(" | ", ways.Select(way => $"{way.Way}: by itself, us | with what it calls, us"))} |"
        );
        await report.WriteLineAsync(string.Concat(Enumerable.Repeat("|---", (2 * ways.Count) + 1)) + "|");
        foreach (var owner in Owner.All)
        {
            await LineAsync(owner, stack => Owner.Of(stack[0]) == owner, stack => Owner.CallerOf(stack) == owner);
        }

        await LineAsync("all", _ => true, _ => true);

        Task LineAsync(string name, Func<PerfFrame[], bool> byItself, Func<PerfFrame[], bool> withCalled)
        {
            var cells = ways.Select(way => $"{CellOf(way, byItself)} | {CellOf(way, withCalled)}");
            return report.WriteLineAsync($"| {name} | {string.Join(" | ", cells)} |");
        }
    }

    private static string CellOf(Profiled way, Func<PerfFrame[], bool> which)
    {
        var count = way.Stacks.Count(which);
        return Numbers.Text($"{way.MicrosecondsOf(count):0.0} ({100.0 * count / way.Stacks.Count:0.0} %)");
    }
}
