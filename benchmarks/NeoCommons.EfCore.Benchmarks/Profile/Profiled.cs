namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>What was seen of one way.</summary>
/// <param name="Way">Its name.</param>
/// <param name="Microseconds">What one operation takes of the client's processors.</param>
/// <param name="Stacks">Where threads were that ran.</param>
internal sealed record Profiled(string Way, double Microseconds, IReadOnlyList<PerfFrame[]> Stacks)
{
    /// <summary>The microseconds of an operation that so many of the stacks stand for.</summary>
    public double MicrosecondsOf(int stacks) => Microseconds * stacks / Stacks.Count;

    /// <summary>The microseconds of each method, the mean of several.</summary>
    /// <param name="all">What was seen of them.</param>
    /// <param name="methodsOf">Those that a stack counts for.</param>
    public static Dictionary<string, double> ByMethod(
        IReadOnlyList<Profiled> all,
        Func<PerfFrame[], IEnumerable<string>> methodsOf
    ) =>
        all.SelectMany(p =>
                p.Stacks.SelectMany(methodsOf)
                    .CountBy(method => method)
                    .Select(m => (Method: m.Key, Microseconds: p.MicrosecondsOf(m.Value) / all.Count))
            )
            .GroupBy(m => m.Method, StringComparer.Ordinal)
            .ToDictionary(m => m.Key, m => m.Sum(each => each.Microseconds), StringComparer.Ordinal);
}
