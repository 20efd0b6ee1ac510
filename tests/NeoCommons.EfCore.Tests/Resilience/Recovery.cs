using System.Diagnostics;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>How long after a fault was over something failed last.</summary>
internal sealed class Recovery
{
    private long _overAt;
    private long _lastAt;

    /// <summary>Whether the fault is over.</summary>
    public bool IsOver => Volatile.Read(ref _overAt) != 0;

    /// <summary>The time from the end of the fault to the last failure; zero where none came after it.</summary>
    public TimeSpan LastFailure =>
        Volatile.Read(ref _lastAt) is var last and not 0
            ? Stopwatch.GetElapsedTime(Volatile.Read(ref _overAt), last)
            : TimeSpan.Zero;

    /// <summary>Notes that the fault is over now.</summary>
    public void Begin() => Volatile.Write(ref _overAt, Stopwatch.GetTimestamp());

    /// <summary>Notes that something failed now.</summary>
    public void Failed()
    {
        if (IsOver)
        {
            Volatile.Write(ref _lastAt, Stopwatch.GetTimestamp());
        }
    }

    /// <summary>Tells when the last failure was, and that it was not later than seven times what is promised: the driver alone takes ten.</summary>
    public void AssertWithin(TimeSpan promised)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"The last failure was {LastFailure.TotalSeconds:0.000} s after the fault; promised: {promised.TotalSeconds} s."
        );
        Assert.InRange(LastFailure, TimeSpan.Zero, promised * 7);
    }
}
