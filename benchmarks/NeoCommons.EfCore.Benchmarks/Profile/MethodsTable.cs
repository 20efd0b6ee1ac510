namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>The methods of ours that take most.</summary>
internal static class MethodsTable
{
    private const int Most = 15;

    /// <summary>Two tables of a way, whose microseconds are the mean of what was profiled of it.</summary>
    public static async Task WriteAsync(TextWriter report, string way, IReadOnlyList<Profiled> profiled)
    {
        await WriteAsync(report, $"{way}: by itself", profiled, stack => OursIn(stack[..1]));
        await WriteAsync(
            report,
            $"{way}: with what it calls",
            profiled,
            stack => OursIn(stack.SkipWhile(frame => Owner.WorksForCallers(Owner.Of(frame))).Take(1))
        );
        await WriteAsync(report, $"{way}: in all", profiled, stack => OursIn(stack).Distinct());
    }

    private static async Task WriteAsync(
        TextWriter report,
        string title,
        IReadOnlyList<Profiled> profiled,
        Func<PerfFrame[], IEnumerable<string>> methodsOf
    )
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {title} | us |");
        await report.WriteLineAsync("|---|---|");
        var methods = Profiled.ByMethod(profiled, methodsOf).OrderByDescending(m => m.Value).Take(Most);
        foreach (var (method, microseconds) in methods)
        {
            await report.WriteLineAsync(Numbers.Text($"| `{method}` | {microseconds:0.00} |"));
        }
    }

    private static IEnumerable<string> OursIn(IEnumerable<PerfFrame> stack) =>
        stack.Where(frame => Owner.Of(frame) == Owner.Ours).Select(frame => frame.Method);
}
