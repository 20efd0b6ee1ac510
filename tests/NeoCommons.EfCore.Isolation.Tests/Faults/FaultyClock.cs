namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>The system's clock, which does something else when it is read the n-th time.</summary>
internal sealed class FaultyClock : TimeProvider
{
    private Action? _act;
    private int _readsLeft;
    private int _timersFired;

    /// <summary>How many timers have gone off: the deadline of a pool that does not drain is one.</summary>
    public int TimersFired => Volatile.Read(ref _timersFired);

    /// <summary>From now on the n-th reading acts; null for none.</summary>
    public void Arm(int number, Action? act) => (_readsLeft, _act) = (number, act);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(
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
