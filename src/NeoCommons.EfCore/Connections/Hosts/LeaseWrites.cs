namespace NeoCommons.EfCore;

/// <summary>Whether a lease has written since its connection was opened: part of the lease.</summary>
internal struct LeaseWrites
{
    private HostPools? _hosts;
    private TenantId _tenant;

    /// <summary>Notes that it writes now, or may.</summary>
    public void Begin(PooledDataSource? source, TenantId? tenant)
    {
        if (_hosts is null && source?.Hosts is { } hosts && tenant is { } writing)
        {
            (_hosts, _tenant) = (hosts, writing);
            hosts.Writes.Begin(writing);
        }
    }

    /// <summary>Notes that its connection was closed.</summary>
    public void End()
    {
        _hosts?.EndWrite(_tenant);
        _hosts = null;
    }
}
