namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>The system's clock, which does something else when it is read the n-th time.</summary>
internal sealed class FaultyClock : TimeProvider
{
    private Action? _act;
    private int _readsLeft;
    private int _timersFired;

    // Shorter ones are those of whoever looks for a server that is away.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    /// <summary>How many long timers have gone off: the deadline of a pool that does not drain is one.</summary>
    public int TimersFired => Volatile.Read(ref _timersFired);

    /// <summary>From now on the n-th reading acts; null for none.</summary>
    public void Arm(int number, Action? act) => (_readsLeft, _act) = (number, act);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        dueTime < Deadline
            ? base.CreateTimer(callback, state, dueTime, period)
            : base.CreateTimer(
                s =>
                {
                    Interlocked.Increment(ref _timersFired);
                    callback(s);
                },
                state,
                dueTime,
                period
            );

    public override long GetTimestamp()
    {
        if (_act is { } act && Interlocked.Decrement(ref _readsLeft) == 0)
        {
            act();
        }

        return base.GetTimestamp();
    }
}

/// <summary>What a test throws into the library, and expects to come out.</summary>
internal sealed class InjectedException(string what) : Exception(what);
