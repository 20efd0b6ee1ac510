namespace NeoCommons.EfCore.Admin;

/// <summary>How processes divide a server's connections.</summary>
/// <param name="Now">What a process may have now.</param>
/// <param name="Later">What it may have when the others have given up what is too many.</param>
internal readonly record struct FairPart(int Now, int Later)
{
    /// <summary>
    /// Max-min fair: who wants less than the same part for all has what it wants, and the others divide what that leaves. What
    /// nobody wants is divided too, so that nobody waits for the next agreement with a server that has nothing to do.
    /// </summary>
    /// <param name="total">What the server has.</param>
    /// <param name="mine">What this process would use.</param>
    /// <param name="others">What the others would.</param>
    /// <param name="taken">
    /// What the others have, who may not have heard of us yet: that is left to them, but for the little with which a process
    /// can begin.
    /// </param>
    public static FairPart Of(int total, int mine, IReadOnlyCollection<int> others, int taken)
    {
        var left = total;
        var processes = others.Count + 1;
        var waiting = processes;
        var part = 0;

        // Of those who want the same each counts itself as the first, which gets the smaller part where it is not even.
        foreach (var (wanted, isMine) in others.Select(w => (w, false)).Prepend((mine, true)).OrderBy(w => w.Item1))
        {
            var given = Math.Min(Math.Max(wanted, ServerBudget.LeastPart), left / waiting);
            left -= given;
            waiting--;
            part = isMine ? given : part;
        }

        // Where there are more processes than connections, the last ones to come have none.
        var fair = Math.Max(part + (left / processes), 1);
        var least = Math.Min(ServerBudget.LeastPart, total / processes);
        return new FairPart(Math.Min(fair, Math.Max(least, total - taken)), fair);
    }
}
