namespace NeoCommons.EfCore;

/// <summary>One who waits at a gate, in the queue of his tenant.</summary>
/// <remarks>
/// Whoever ends the waiting, a permit, a clock or a token, goes through the gate, so that it ends once. A thread that waits
/// synchronously is woken by the task itself, and needs no other thread of the pool for it.
/// </remarks>
internal sealed class GateWaiter(FairGate gate, GateQueue queue, PooledDataSource? pool)
{
    private readonly TaskCompletionSource<GateOutcome> _ending = new(
        TaskCreationOptions.RunContinuationsAsynchronously
    );

    public GateQueue Queue => queue;

    /// <summary>Of which pool a connection will be opened; null where the gate is of one.</summary>
    public PooledDataSource? Pool => pool;

    /// <summary>The place in the queue; null when the waiting has ended.</summary>
    public LinkedListNode<GateWaiter>? Place { get; set; }

    /// <summary>Ends when a permit was given or the waiting was given up.</summary>
    public Task<GateOutcome> Ending => _ending.Task;

    /// <summary>Gives up, unless the permit was faster.</summary>
    public void GiveUp(GateOutcome why) => gate.GiveUp(this, why);

    /// <summary>Wakes the caller; called by the gate.</summary>
    public void Wake(GateOutcome outcome) => _ending.SetResult(outcome);
}
