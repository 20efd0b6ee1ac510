namespace NeoCommons.EfCore;

/// <summary>Those who wait at a gate for one tenant, the oldest first.</summary>
/// <param name="whose">The tenant; the empty id stands for those who open connections for none.</param>
internal sealed class GateQueue(TenantId whose)
{
    public TenantId Whose => whose;

    public LinkedList<GateWaiter> Waiters { get; } = new();

    /// <summary>Whether it stands in line for a turn already.</summary>
    public bool HasTurn { get; set; }
}
