namespace NeoCommons.EfCore;

/// <summary>How waiting at a <see cref="FairGate"/> has ended.</summary>
internal enum GateOutcome
{
    /// <summary>The caller has a permit.</summary>
    Taken,

    /// <summary>As many wait for the tenant already as may.</summary>
    Full,

    /// <summary>None came back in time.</summary>
    TimedOut,

    /// <summary>What was waited for is no more.</summary>
    Ended,

    /// <summary>The caller gave up.</summary>
    Cancelled,
}
