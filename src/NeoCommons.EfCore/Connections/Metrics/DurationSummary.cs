using HdrHistogram;

namespace NeoCommons.EfCore;

/// <summary>What many durations have in common, in milliseconds. Each value is within one hundredth of the exact one.</summary>
/// <remarks>Percentiles are of all durations of the window together, never averages of percentiles.</remarks>
public sealed record DurationSummary
{
    /// <summary>The average, in milliseconds.</summary>
    public double AverageMilliseconds { get; init; }

    /// <summary>The median, in milliseconds.</summary>
    public double P50Milliseconds { get; init; }

    /// <summary>95 of 100 durations are at most this, in milliseconds.</summary>
    public double P95Milliseconds { get; init; }

    /// <summary>99 of 100 durations are at most this, in milliseconds.</summary>
    public double P99Milliseconds { get; init; }

    /// <summary>The longest, in milliseconds; at most an hour.</summary>
    public double MaxMilliseconds { get; init; }

    /// <summary>Sums up what the histograms hold together; null where they are empty.</summary>
    internal static (long Count, DurationSummary? Summary) Of(IEnumerable<DurationHistogram?> parts)
    {
        // Counts go on while they are read, and what this one holds does not.
        IntHistogram? all = null;
        foreach (var part in parts)
        {
            if (part is not null)
            {
                (all ??= new IntHistogram(DurationHistogram.Longest, DurationHistogram.Digits)).Add(part);
            }
        }

        return all is not { TotalCount: > 0 }
            ? (0, null)
            : (
                all.TotalCount,
                new DurationSummary
                {
                    AverageMilliseconds = Milliseconds(all.GetMean()),
                    P50Milliseconds = Milliseconds(all.GetValueAtPercentile(50)),
                    P95Milliseconds = Milliseconds(all.GetValueAtPercentile(95)),
                    P99Milliseconds = Milliseconds(all.GetValueAtPercentile(99)),
                    MaxMilliseconds = Milliseconds(all.GetValueAtPercentile(100)),
                }
            );
    }

    private static double Milliseconds(double microseconds) => Math.Round(microseconds / 1_000, 3);
}
