namespace NeoCommons.EfCore.Tests.Metrics;

/// <summary>Percentiles of the window are those of all its durations, computed exactly.</summary>
public sealed class DurationSummaryTests
{
    [Fact]
    public void Percentiles_are_those_of_all_durations_together_within_one_hundredth()
    {
        var random = new Random(7);
        DurationHistogram[] parts = [new(), new(), new()];
        var all = new List<double>();
        for (var i = 0; i < 20_000; i++)
        {
            // From 20 microseconds to 20 minutes, most of them in the first part, as in a slice that was busy.
            var seconds = 0.00002 * Math.Pow(10, random.NextDouble() * 7.7);
            parts[i % 10 < 8 ? 0 : i % 10 - 7].Record(seconds);
            all.Add(seconds * 1_000);
        }

        all.Sort();
        var (count, summary) = DurationSummary.Of([.. parts, null]);

        Assert.Equal(all.Count, count);
        AssertNear(all[(int)(all.Count * 0.50) - 1], summary!.P50Milliseconds);
        AssertNear(all[(int)(all.Count * 0.95) - 1], summary.P95Milliseconds);
        AssertNear(all[(int)(all.Count * 0.99) - 1], summary.P99Milliseconds);
        AssertNear(all[^1], summary.MaxMilliseconds);
        AssertNear(all.Average(), summary.AverageMilliseconds);
    }

    [Fact]
    public void Percentiles_of_parts_that_have_nothing_in_common_are_not_an_average_of_theirs()
    {
        // A slice that was busy and fast, and two in which hardly anything went through.
        DurationHistogram[] parts = [new(), new(), new()];
        var all = new List<double>();
        Record(0, 10_000, from: 0.001, to: 0.010);
        Record(1, 300, from: 1, to: 2);
        Record(2, 100, from: 4, to: 8);
        all.Sort();

        var summary = DurationSummary.Of(parts).Summary!;

        var exact = all[(int)(all.Count * 0.95) - 1];
        AssertNear(exact, summary.P95Milliseconds);
        AssertNear(all[(int)(all.Count * 0.99) - 1], summary.P99Milliseconds);
        var each = parts.Select(part => DurationSummary.Of([part])).ToList();
        var average = each.Average(part => part.Summary!.P95Milliseconds);
        var weighted = each.Sum(part => part.Count * part.Summary!.P95Milliseconds) / all.Count;
        Assert.All(
            [average, weighted],
            wrong => Assert.True(Math.Abs(wrong - exact) > exact * 0.1, $"{wrong}, {exact}")
        );

        void Record(int part, int count, double from, double to)
        {
            for (var i = 0; i < count; i++)
            {
                var seconds = from + ((to - from) * i / count);
                parts[part].Record(seconds);
                all.Add(seconds * 1_000);
            }
        }
    }

    [Fact]
    public void What_takes_longer_than_an_hour_counts_as_an_hour()
    {
        var durations = new DurationHistogram();
        durations.Record(86_400);

        AssertNear(3_600_000, DurationSummary.Of([durations]).Summary!.MaxMilliseconds);
    }

    [Fact]
    public void Nothing_recorded_is_no_summary() =>
        Assert.Equal((0, null), DurationSummary.Of([null, new DurationHistogram()]));

    [Fact]
    public async Task Durations_that_are_recorded_at_once_are_all_counted_and_reading_meanwhile_is_safe()
    {
        const int Threads = 4;
        const int Each = 50_000;
        var durations = new DurationHistogram();
        var ct = TestContext.Current.CancellationToken;
        var recording = Task.WhenAll(
            Enumerable
                .Range(0, Threads)
                .Select(_ =>
                    Task.Run(
                        () =>
                        {
                            for (var i = 0; i < Each; i++)
                            {
                                durations.Record(i % 3 * 0.001);
                            }
                        },
                        ct
                    )
                )
        );
        while (!recording.IsCompleted)
        {
            _ = DurationSummary.Of([durations]);
        }

        await recording;
        Assert.Equal(Threads * Each, DurationSummary.Of([durations]).Count);
    }

    private static void AssertNear(double expected, double actual) =>
        Assert.InRange(actual, expected * 0.99, expected * 1.01);
}
