namespace NeoCommons.EfCore;

/// <summary>Whether a lease has written since its connection was opened: part of the lease.</summary>
internal struct LeaseWrites
{
    private HostPools? _hosts;
    private PooledDataSource? _source;
    private TenantId _tenant;

    /// <summary>Notes that it writes now, or may.</summary>
    public void Begin(PooledDataSource? source, TenantId? tenant)
    {
        if (_hosts is not null || source is null || tenant is not { } writing)
        {
            return;
        }

        (_source, _tenant, _hosts) = (source, writing, HostsOf(source));
        _hosts?.Writes.Begin(writing);
    }

    /// <summary>Notes that its connection was closed, unless it goes on with another one.</summary>
    public void EndUnless(bool goesOn)
    {
        if (!goesOn)
        {
            End();
        }
    }

    /// <summary>Notes that its connection was closed.</summary>
    public void End()
    {
        if (_hosts is { } hosts)
        {
            hosts.EndWrite(_tenant);
        }
        else if (_source is { } source)
        {
            HostsOf(source)?.NoteWrite(_tenant);
        }

        (_hosts, _source) = (null, null);
    }

    // The row may have come to name further hosts: leases of the pool that it has now read at them. One that is yet to be made looks
    // at them first, and by then this is committed.
    private static HostPools? HostsOf(PooledDataSource source) =>
        source.Hosts
        ?? (source.Life.Retiring.IsCancellationRequested ? source.Successor?.Invoke(source.Row.Name)?.Hosts : null);
}
