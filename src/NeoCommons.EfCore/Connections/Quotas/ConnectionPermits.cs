namespace NeoCommons.EfCore;

/// <summary>What one connection takes of its tenant and its pool while it is open, and gives back once.</summary>
/// <remarks>It belongs to whoever opens the connection, and serves one open after the other; not two at the same time.</remarks>
internal sealed class ConnectionPermits
{
    private FairGate? _ofTenant;
    private FairGate? _ofPool;
    private FairGate? _ofServer;

    /// <summary>The tenant that the connection is for, with its limits; null where it is for none.</summary>
    public TenantLimiter? Limiter { get; set; }

    /// <summary>Whether a permit of the tenant is held.</summary>
    public bool HasTenants => _ofTenant is not null;

    /// <summary>Notes a permit of the tenant.</summary>
    public void HoldTenants(FairGate gate) => _ofTenant = gate;

    /// <summary>Notes a permit of the pool.</summary>
    public void HoldPools(FairGate gate) => _ofPool = gate;

    /// <summary>Notes a permit of the server.</summary>
    public void HoldServers(FairGate gate) => _ofServer = gate;

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

            _ofTenant = limiter.Connections;
        }

        if (!source.Gate.TryTake())
        {
            return false;
        }

        _ofPool = source.Gate;
        if (source.Server is not { } server)
        {
            return true;
        }

        if (!server.Gate.TryTake())
        {
            return false;
        }

        _ofServer = server.Gate;
        return true;
    }

    /// <summary>Gives everything back; a second time, nothing.</summary>
    public void Release()
    {
        Interlocked.Exchange(ref _ofServer, null)?.Release();
        Interlocked.Exchange(ref _ofPool, null)?.Release();
        Interlocked.Exchange(ref _ofTenant, null)?.Release();
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
