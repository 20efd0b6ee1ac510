namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>The methods that take more in one way than in another, whoever's they are.</summary>
internal static class DifferencesTable
{
    private const int Most = 25;

    /// <summary>Two tables, whose microseconds are the mean of what was profiled.</summary>
    public static async Task WriteAsync(TextWriter report, IReadOnlyList<Profiled> way, IReadOnlyList<Profiled> beside)
    {
        await WriteAsync(
            report,
            $"{way[0].Way}: more by itself than EF without tenants",
            way,
            beside,
            stack => stack[0]
        );
        await WriteAsync(
            report,
            $"{way[0].Way}: more with the runtime's work for it than EF without tenants",
            way,
            beside,
            stack => stack.FirstOrDefault(frame => !Owner.WorksForCallers(Owner.Of(frame)), stack[0])
        );
    }

    private static async Task WriteAsync(
        TextWriter report,
        string title,
        IReadOnlyList<Profiled> way,
        IReadOnlyList<Profiled> beside,
        Func<PerfFrame[], PerfFrame> methodOf
    )
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {title} | us | more, us |");
        await report.WriteLineAsync("|---|---|---|");
        var before = Profiled.ByMethod(beside, MethodsOf);
        var more = Profiled
            .ByMethod(way, MethodsOf)
            .Select(m => (Method: m.Key, All: m.Value, More: m.Value - before.GetValueOrDefault(m.Key)))
            .OrderByDescending(m => m.More)
            .Take(Most);
        foreach (var (method, all, difference) in more)
        {
            await report.WriteLineAsync(Numbers.Text($"| `{method}` | {all:0.00} | {difference:0.00} |"));
        }

        IEnumerable<string> MethodsOf(PerfFrame[] stack) => [methodOf(stack).Method];
    }
}
