using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What one operation of a way took in one round.</summary>
/// <param name="Microseconds">How long it took.</param>
/// <param name="Processor">For how many microseconds this process kept a processor busy, whatever it did meanwhile.</param>
/// <param name="Bytes">How much it allocated.</param>
internal sealed record Measured(double Microseconds, double Processor, double Bytes)
{
    /// <summary>The header of <see cref="Lines"/>.</summary>
    public const string Columns = "table,way,round,microseconds,processor,bytes";

    /// <summary>Does the work with so many callers, for tenants at random: the same ones in a round, whichever the way.</summary>
    public static async Task<Measured> OfAsync(
        Peer peer,
        Workload workload,
        int count,
        int workers,
        int tenants,
        int round
    )
    {
        var mine = Math.Min(tenants, peer.MostTenants);
        var each = Math.Max(1, count / workers / peer.SlownessWith(mine) / workload.Weight);
        var bytes = GC.GetTotalAllocatedBytes(precise: true);
        var processor = Environment.CpuUsage.TotalTime;
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(
            Enumerable
                .Range(0, workers)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        var random = new Random((round * 1_000) + worker);
                        for (var i = 0; i < each; i++)
                        {
                            await workload.Once(peer, random.Next(mine), ProductOf(random, worker, workers));
                        }
                    })
                )
        );
        var time = watch.Elapsed.TotalMicroseconds;
        processor = Environment.CpuUsage.TotalTime - processor;
        bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
        double operations = each * workers;
        return new Measured(time / operations, processor.TotalMicroseconds / operations, bytes / operations);
    }

    // Of many callers each has products of its own: nobody waits for another's row, whether they share a table or not.
    private static int ProductOf(Random random, int worker, int workers)
    {
        var each = ShopDatabase.Products / workers;
        return (worker * each) + random.Next(1, each);
    }

    /// <summary>The ratios of the rounds' times: their median, and where their middle half begins and ends.</summary>
    public static (double Median, double From, double To) Ratio(
        IReadOnlyList<Measured> of,
        IReadOnlyList<Measured> to
    ) => Ratio(of, to, m => m.Microseconds);

    /// <summary>The same of what the process took of the processors.</summary>
    public static (double Median, double From, double To) ProcessorRatio(
        IReadOnlyList<Measured> of,
        IReadOnlyList<Measured> to
    ) => Ratio(of, to, m => m.Processor);

    /// <summary>How many microseconds more it takes than another: the median of the rounds, and where their middle half begins and ends.</summary>
    public static (double Median, double From, double To) More(
        IReadOnlyList<Measured> of,
        IReadOnlyList<Measured> to
    ) => Numbers.More(of.Select(m => m.Microseconds), to.Select(m => m.Microseconds));

    /// <summary>Each round, as CSV.</summary>
    public static IEnumerable<string> Lines(string table, string way, IEnumerable<Measured> measured) =>
        measured.Select(
            (m, round) =>
                Numbers.Text($"\"{table}\",\"{way}\",{round + 1},{m.Microseconds:0.0},{m.Processor:0.0},{m.Bytes:0}")
        );

    /// <summary>The cells of a table: the median in microseconds, the ratio to another way, and the middle half of the ratios.</summary>
    public static string Cells(IReadOnlyList<Measured> of, IReadOnlyList<Measured> to) =>
        Cells(of, to, m => m.Microseconds);

    /// <summary>The same of what the process took of the processors.</summary>
    public static string ProcessorCells(IReadOnlyList<Measured> of, IReadOnlyList<Measured> to) =>
        Cells(of, to, m => m.Processor);

    /// <summary>The median of the bytes.</summary>
    public static double MedianBytes(IReadOnlyList<Measured> of) => Numbers.Median([.. of.Select(m => m.Bytes)]);

    private static (double Median, double From, double To) Ratio(
        IReadOnlyList<Measured> of,
        IReadOnlyList<Measured> to,
        Func<Measured, double> what
    ) => Numbers.Ratio(of.Select(what), to.Select(what));

    private static string Cells(IReadOnlyList<Measured> of, IReadOnlyList<Measured> to, Func<Measured, double> what)
    {
        var ratio = Ratio(of, to, what);
        return Numbers.Text(
            $"{Numbers.Median([.. of.Select(what)]):0} | {ratio.Median:0.00} | {ratio.From:0.00}-{ratio.To:0.00}"
        );
    }
}
