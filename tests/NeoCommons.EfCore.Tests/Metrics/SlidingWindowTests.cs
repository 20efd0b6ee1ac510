using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Tests.Metrics;

public sealed class SlidingWindowTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void A_window_forgets_slice_by_slice()
    {
        var window = new SlidingWindow<Count>(TimeSpan.FromMinutes(1), _time);
        for (var i = 0; i < 6; i++)
        {
            window.Current.Value++;
            _time.Advance(TimeSpan.FromSeconds(10));
        }

        // The slice of 50 s to 60 s is the last of six, the present one included.
        Assert.Equal(5, window.Live.Sum(c => c.Value));
        _time.Advance(TimeSpan.FromSeconds(40));
        Assert.Equal(1, window.Live.Sum(c => c.Value));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Empty(window.Live);
    }

    [Fact]
    public void A_slice_is_made_once_however_often_it_is_used()
    {
        var window = new SlidingWindow<Count>(TimeSpan.FromMinutes(1), _time);
        var first = window.Current;
        Assert.Same(first, window.Current);
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.NotSame(first, window.Current);
        Assert.Single(window.Live);
    }

    [Fact]
    public async Task Those_who_begin_a_slice_at_once_share_it()
    {
        var window = new SlidingWindow<Count>(TimeSpan.FromMinutes(1), _time);
        for (var round = 0; round < 200; round++)
        {
            using var barrier = new Barrier(4);
            await Task.WhenAll(
                Enumerable
                    .Range(0, 4)
                    .Select(_ =>
                        Task.Factory.StartNew(
                            () =>
                            {
                                barrier.SignalAndWait();
                                Interlocked.Increment(ref window.Current.Value);
                            },
                            TestContext.Current.CancellationToken,
                            TaskCreationOptions.LongRunning,
                            TaskScheduler.Default
                        )
                    )
            );
            Assert.Equal(4, window.Current.Value);
            _time.Advance(TimeSpan.FromSeconds(10));
        }
    }

    private sealed class Count : SlidingWindowSlice
    {
        public int Value;
    }
}
