namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>A small set of cases in which every two values meet at least once, if they can.</summary>
internal static class FaultMatrix
{
    private static readonly bool[] Both = [false, true];

    private static readonly IReadOnlyList<FaultCase> Chosen = Choose();

    /// <summary>The cases of some faults: the same in each run.</summary>
    public static IEnumerable<FaultCase> Of(params Fault[] faults) => Chosen.Where(c => faults.Contains(c.Fault));

    private static List<FaultCase> Choose()
    {
        // Each place of a silence costs seconds: it has cases of its own.
        var all = All(Enum.GetValues<Fault>().Where(f => f != Fault.Silence))
            .Where(c => c.IsPossible)
            .Select(c => (Case: c, Pairs: PairsOf(c)))
            .ToList();
        var open = all.SelectMany(c => c.Pairs).ToHashSet();
        var chosen = new List<FaultCase>();
        while (open.Count > 0)
        {
            var best = all.MaxBy(c => c.Pairs.Count(open.Contains));
            open.ExceptWith(best.Pairs);
            chosen.Add(best.Case);
        }

        return chosen;
    }

    private static IEnumerable<FaultCase> All(IEnumerable<Fault> faults) =>
        from fault in faults
        from work in Enum.GetValues<Work>()
        from pool in Enum.GetValues<Pool>()
        from binding in Enum.GetValues<SchemaBinding>()
        from reset in Enum.GetValues<SessionReset>()
        from prepend in Both
        from async in Both
        from retry in Both
        from pooled in Both
        from prePing in Both
        select new FaultCase
        {
            Fault = fault,
            Work = work,
            Pool = pool,
            Binding = binding,
            Reset = reset,
            Prepend = prepend,
            Async = async,
            Retry = retry,
            PooledContexts = pooled,
            PrePing = prePing,
        };

    // Each value as a number of its own, and each two of them as one.
    private static int[] PairsOf(FaultCase c)
    {
        int[] values =
        [
            (int)c.Fault,
            (int)c.Work,
            (int)c.Pool,
            (int)c.Binding,
            (int)c.Reset,
            c.Prepend ? 1 : 0,
            c.Async ? 1 : 0,
            c.Retry ? 1 : 0,
            c.PooledContexts ? 1 : 0,
            c.PrePing ? 1 : 0,
        ];
        var pairs = new List<int>();
        for (var i = 0; i < values.Length; i++)
        {
            for (var j = 0; j < i; j++)
            {
                pairs.Add((((((i * 16) + j) * 16) + values[i]) * 16) + values[j]);
            }
        }

        return [.. pairs];
    }
}
