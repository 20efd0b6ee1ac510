namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A table of ways, with the ratio of each to one of them.</summary>
internal static class WaysTable
{
    /// <param name="report">Where it is written.</param>
    /// <param name="title">What was measured.</param>
    /// <param name="all">The ways.</param>
    /// <param name="besideOf">To which of them a way's ratio is.</param>
    public static async Task WriteAsync(
        TextWriter report,
        string title,
        IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> all,
        Func<string, string> besideOf
    )
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| {title} | us | ratio | middle half | bytes |");
        await report.WriteLineAsync("|---|---|---|---|---|");
        foreach (var (peer, measured) in all)
        {
            var beside = all.Single(way => way.Way.Name == besideOf(peer.Name)).Measured;
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {peer.Name} | {Measured.Cells(measured, beside)} | {Measured.MedianBytes(measured):0} |"
                )
            );
        }
    }
}
