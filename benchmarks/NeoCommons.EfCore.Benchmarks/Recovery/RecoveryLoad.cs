using System.Collections.Concurrent;
using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Recovery;

/// <summary>Callers of a way who go on whatever happens, each of them writing and reading in turn, and what became of their calls.</summary>
internal sealed class RecoveryLoad : IAsyncDisposable
{
    private const int Callers = 4;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _over = new();
    private readonly ConcurrentQueue<Call> _calls = new();
    private readonly ConcurrentDictionary<Call, bool> _underWay = new();
    private readonly Task _working;
    private int _lastId;

    public RecoveryLoad(RecoveryWay way)
    {
        Way = way;
        _working = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(CallAsync)));
    }

    public RecoveryWay Way { get; }

    /// <summary>The calls that have ended, with the numbers of what they wrote.</summary>
    public IReadOnlyCollection<Call> Calls => _calls;

    /// <summary>Those that have not ended yet, as if they had failed now.</summary>
    public IReadOnlyCollection<Call> UnderWay
    {
        get
        {
            var now = Stopwatch.GetTimestamp();
            return [.. _underWay.Keys.Select(call => call with { Ended = now })];
        }
    }

    /// <summary>Ends it, when the calls under way have ended.</summary>
    public async Task EndAsync()
    {
        await _over.CancelAsync();
        await _working;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _over.Dispose();
    }

    private async Task CallAsync()
    {
        while (!_over.IsCancellationRequested)
        {
            var id = Interlocked.Increment(ref _lastId);
            await CallAsync(id, () => Way.WriteAsync(id));
            await CallAsync(null, Way.ReadAsync);
        }
    }

    private async Task CallAsync(int? id, Func<Task> call)
    {
        var begun = new Call(id, Stopwatch.GetTimestamp(), 0, IsDone: false);
        _underWay[begun] = true;
        var isDone = true;
        try
        {
            await call();
        }
        catch (Exception)
        {
            // Whatever it is: that it failed and when is what is measured.
            isDone = false;
        }

        _underWay.TryRemove(begun, out _);
        _calls.Enqueue(begun with { Ended = Stopwatch.GetTimestamp(), IsDone = isDone });
        await Task.Delay(Pause, CancellationToken.None);
    }

    /// <summary>A call that has ended.</summary>
    /// <param name="Id">What it wrote; null where it read.</param>
    /// <param name="Begun">When it began, a timestamp.</param>
    /// <param name="Ended">When it ended.</param>
    /// <param name="IsDone">Whether it did what it was to do.</param>
    internal sealed record Call(int? Id, long Begun, long Ended, bool IsDone)
    {
        public TimeSpan Took => Stopwatch.GetElapsedTime(Begun, Ended);
    }
}
