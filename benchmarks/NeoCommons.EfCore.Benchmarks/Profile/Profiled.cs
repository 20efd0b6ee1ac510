namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>What was seen of one way.</summary>
/// <param name="Way">Its name.</param>
/// <param name="Microseconds">What one operation takes of the client's processors.</param>
/// <param name="Stacks">Where threads were that ran.</param>
internal sealed record Profiled(string Way, double Microseconds, IReadOnlyList<PerfFrame[]> Stacks)
{
    /// <summary>The microseconds of an operation that so many of the stacks stand for.</summary>
    public double MicrosecondsOf(int stacks) => Microseconds * stacks / Stacks.Count;
}
