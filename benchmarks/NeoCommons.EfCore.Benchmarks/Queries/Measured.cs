using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What one operation of a way took in one round.</summary>
internal sealed record Measured(double Microseconds, double Bytes)
{
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
                            await workload.Once(peer, random.Next(mine), random.Next(1, ShopDatabase.Products));
                        }
                    })
                )
        );
        var time = watch.Elapsed.TotalMicroseconds;
        var operations = each * workers;
        return new Measured(time / operations, (double)(GC.GetTotalAllocatedBytes(precise: true) - bytes) / operations);
    }

    /// <summary>The ratios of the rounds: their median, and where their middle half begins and ends.</summary>
    public static (double Median, double From, double To) Ratio(IReadOnlyList<Measured> of, IReadOnlyList<Measured> to)
    {
        double[] ratios = [.. of.Zip(to, (a, b) => a.Microseconds / b.Microseconds).Order()];
        return (Numbers.Median(ratios), ratios[ratios.Length / 4], ratios[ratios.Length * 3 / 4]);
    }

    /// <summary>The cells of a table: the median in microseconds, the ratio to another way, and the middle half of the ratios.</summary>
    public static string Cells(IReadOnlyList<Measured> of, IReadOnlyList<Measured> to)
    {
        var ratio = Ratio(of, to);
        return Numbers.Text(
            $"{Numbers.Median([.. of.Select(m => m.Microseconds)]):0} | {ratio.Median:0.00} | {ratio.From:0.00}-{ratio.To:0.00}"
        );
    }

    /// <summary>The median of the bytes.</summary>
    public static double MedianBytes(IReadOnlyList<Measured> of) => Numbers.Median([.. of.Select(m => m.Bytes)]);
}
