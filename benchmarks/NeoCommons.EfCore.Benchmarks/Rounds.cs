namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Measurements of several ways, one after the other in each round, so that what slows the machine slows them all.</summary>
internal static class Rounds
{
    /// <summary>
    /// Measures each way in each round, in another order each time, so that none always follows the same other one; one more round
    /// before them, which opens connections and compiles, is not kept. Memory is collected before each turn, so that a short one has no collection.
    /// </summary>
    /// <param name="rounds">How many rounds are kept.</param>
    /// <param name="ways">The ways.</param>
    /// <param name="measure">Measures a way in a round, whose number is its seed.</param>
    public static async Task<IReadOnlyList<(TWay Way, IReadOnlyList<TMeasured> Measured)>> InTurnAsync<TWay, TMeasured>(
        int rounds,
        IReadOnlyCollection<TWay> ways,
        Func<TWay, int, Task<TMeasured>> measure
    )
    {
        var all = ways.Select(way => (Way: way, Measured: new List<TMeasured>())).ToList();
        var turns = all.ToArray();
        for (var round = 0; round <= rounds; round++)
        {
            new Random(round).Shuffle(turns);
            foreach (var (way, measured) in turns)
            {
                // What the one before has left is not collected in this one's time.
                GC.Collect();
                GC.WaitForPendingFinalizers();
                var one = await measure(way, round);
                if (round > 0)
                {
                    measured.Add(one);
                }
            }
        }

        return [.. all.Select(way => (way.Way, (IReadOnlyList<TMeasured>)way.Measured))];
    }
}
