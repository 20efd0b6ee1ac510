namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A table of ways, with the ratio of each to one of them.</summary>
internal static class WaysTable
{
    /// <param name="report">Where it is written.</param>
    /// <param name="title">What was measured.</param>
    /// <param name="all">The ways.</param>
    /// <param name="besideOf">To which of them a way's ratio is.</param>
    /// <param name="withProcessor">Whether it shows what the client takes of the processors.</param>
    public static async Task WriteAsync(
        TextWriter report,
        string title,
        IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> all,
        Func<string, string> besideOf,
        bool withProcessor = false
    )
    {
        await report.WriteLineAsync();
        var (header, ruler) = withProcessor
            ? ("client's processor, us | ratio of it | its middle half | ", "---|---|---|")
            : ("", "");
        await report.WriteLineAsync($"| {title} | us | ratio | middle half | {header}bytes |");
        await report.WriteLineAsync($"|---|---|---|---|{ruler}---|");
        foreach (var (peer, measured) in all)
        {
            var beside = all.Single(way => way.Way.Name == besideOf(peer.Name)).Measured;
            var processor = withProcessor ? $"{Measured.ProcessorCells(measured, beside)} | " : "";
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {peer.Name} | {Measured.Cells(measured, beside)} | {processor}{Measured.MedianBytes(measured):0} |"
                )
            );
        }
    }
}
