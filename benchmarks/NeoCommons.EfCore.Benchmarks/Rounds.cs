namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Measurements of several ways, one after the other in each round, so that what slows the machine slows them all.</summary>
internal static class Rounds
{
    /// <summary>Measures each way in each round; one more round before them, which opens connections and compiles, is not kept.</summary>
    public static async Task<IReadOnlyList<(TWay Way, IReadOnlyList<TMeasured> Measured)>> InTurnAsync<TWay, TMeasured>(
        int rounds,
        IReadOnlyCollection<TWay> ways,
        Func<TWay, Task<TMeasured>> measure
    )
    {
        var all = ways.Select(way => (Way: way, Measured: new List<TMeasured>())).ToList();
        for (var round = 0; round <= rounds; round++)
        {
            foreach (var (way, measured) in all)
            {
                var one = await measure(way);
                if (round > 0)
                {
                    measured.Add(one);
                }
            }
        }

        return [.. all.Select(way => (way.Way, (IReadOnlyList<TMeasured>)way.Measured))];
    }
}
