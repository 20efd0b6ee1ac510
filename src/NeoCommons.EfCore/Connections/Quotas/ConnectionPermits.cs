using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What one connection takes of its tenant and its pool while it is open, and gives back once.</summary>
/// <remarks>It belongs to whoever opens the connection, and serves one open after the other; not two at the same time.</remarks>
internal sealed class ConnectionPermits
{
    private FairGate? _ofTenant;
    private FairGate? _ofPool;
    private FairGate? _ofServer;
    private PoolGrowth? _growth;
    private long? _acquired;

    /// <summary>The tenant that the connection is for, with its limits; null where it is for none.</summary>
    public TenantLimiter? Limiter { get; set; }

    /// <summary>Whether the connection leads past the pool: then no idle one of it serves (<see cref="Quarantine"/>).</summary>
    public bool IsApart { get; private set; }

    /// <summary>Whether it is one of those that only read (<see cref="HostPools"/>): no idle one of the others serves.</summary>
    public bool Reads { get; private set; }

    /// <summary>What the connection comes from: the pool's connections, those of it that only read, or one past it.</summary>
    public NpgsqlDataSource Choose(PooledDataSource source, bool readOnly = false)
    {
        // One scope, one session: what it has begun with goes on.
        var isFree = !AmbientScope.IsPresent;
        IsApart = isFree && Limiter is { } limiter && source.Quarantine.Holds(limiter);
        Reads = isFree && source.Hosts is not null && readOnly;
        return Reads ? source.Hosts!.ReadersFor(Limiter!.Tenant.Id, IsApart)
            : !IsApart ? source.Source
            : source.Hosts?.WritersApart ?? source.Quarantine.Source;
    }

    /// <summary>Whether a permit of the tenant is held.</summary>
    public bool HasTenants => _ofTenant is not null;

    /// <summary>Notes a permit of the tenant.</summary>
    public void HoldTenants(TenantLimiter limiter) => _ofTenant = limiter.Connections;

    /// <summary>Notes a permit of the pool.</summary>
    public void HoldPools(FairGate gate) => _ofPool = gate;

    /// <summary>Notes a permit of the server, the last one that is needed.</summary>
    public void HoldServers(PooledDataSource source)
    {
        _ofServer = source.Server.Gate;
        source.Server.NoteUse();
        _growth =
            IsApart ? null
            : Reads ? source.Hosts!.Reading
            : source.Growth;
        Grows = _growth?.Begin() ?? true;
        _acquired = Limiter?.Activity.Acquired();
    }

    /// <summary>Whether the connection may be one more than the pool has had.</summary>
    public bool Grows { get; private set; }

    /// <summary>Whether a permit of the pool is held.</summary>
    public bool HasPools => _ofPool is not null;

    /// <summary>Takes all of it if nobody has to wait; keeps what it got otherwise.</summary>
    public bool TryTake(PooledDataSource source)
    {
        if (Limiter is { } limiter)
        {
            if (!limiter.Connections.TryTake())
            {
                return false;
            }

            HoldTenants(limiter);
        }

        if (!source.Gate.TryTake())
        {
            return false;
        }

        HoldPools(source.Gate);
        if (!source.Server.Gate.TryTake())
        {
            return false;
        }

        HoldServers(source);
        return true;
    }

    /// <summary>Gives everything back; a second time, nothing.</summary>
    public void Release()
    {
        // A lease gives back when its connection is closed, and again when it ends.
        if (_ofTenant is null && _ofPool is null && _ofServer is null && _growth is null)
        {
            return;
        }

        Interlocked.Exchange(ref _growth, null)?.End();
        Interlocked.Exchange(ref _ofServer, null)?.Release();
        Interlocked.Exchange(ref _ofPool, null)?.Release();
        if (Interlocked.Exchange(ref _ofTenant, null) is { } tenants)
        {
            if (_acquired is { } acquired)
            {
                _acquired = null;
                Limiter?.Activity.Returned(acquired);
            }

            tenants.Release();
        }
    }

    /// <summary>Ends the use of the tenant too.</summary>
    public void End()
    {
        Release();
        if (Limiter is { } limiter)
        {
            Limiter = null;
            limiter.Leave();
        }
    }
}
