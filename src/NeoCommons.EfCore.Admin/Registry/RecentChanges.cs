namespace NeoCommons.EfCore.Admin;

/// <summary>What changed lately, by which a value that some process has cached for all is told from one that is out of date.</summary>
/// <remarks>
/// A cached value says which transactions it knows; it is out of date if a later one has changed its row, or if it was read
/// from a server that another one has taken the place of. What this process changes itself makes values doubtful at once,
/// and until the log has been read once more.
/// </remarks>
internal sealed class RecentChanges(TimeSpan window, TimeProvider time)
{
    private const int Most = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<TenantId, (long Transaction, long At)> _tenants = [];
    private Own _unconfirmed = new([]);
    private Own _confirming = new([]);
    private DateTimeOffset? _serverStartedAt;
    private long _connections;
    private long _all;

    /// <summary>How old a cached value can be, and so how far back changes matter; zero where nothing is shared.</summary>
    public TimeSpan Window => window;

    /// <summary>Whether a tenant that was read at a position may have changed since.</summary>
    public bool MayBeStale(TenantId tenant, RowPosition position)
    {
        lock (_lock)
        {
            return IsOfBefore(position)
                || _unconfirmed.Has(tenant)
                || _confirming.Has(tenant)
                || (_tenants.TryGetValue(tenant, out var change) && position.Below <= change.Transaction);
        }
    }

    /// <summary>The same for the connections.</summary>
    public bool MayBeStale(RowPosition position)
    {
        lock (_lock)
        {
            return IsOfBefore(position) || position.Below <= _connections;
        }
    }

    /// <summary>The log is that of the server which was started then: what was read from another one is not to be compared.</summary>
    public void Follow(DateTimeOffset serverStartedAt)
    {
        lock (_lock)
        {
            if (_serverStartedAt != serverStartedAt)
            {
                _serverStartedAt = serverStartedAt;
                (_all, _connections) = (0, 0);
                _tenants.Clear();
            }
        }
    }

    public void Add(RegistryChange change)
    {
        if (Window == TimeSpan.Zero)
        {
            return;
        }

        lock (_lock)
        {
            if (change.Tenant is not { } tenant)
            {
                _connections = Math.Max(_connections, change.Transaction);
                return;
            }

            if (_tenants.Count >= Most && !_tenants.ContainsKey(tenant))
            {
                MakeRoom();
            }

            var latest = _tenants.TryGetValue(tenant, out var known)
                ? Math.Max(known.Transaction, change.Transaction)
                : change.Transaction;
            _tenants[tenant] = (latest, time.GetTimestamp());
        }
    }

    /// <summary>Anything may have changed until here.</summary>
    public void AddAll(RegistryPosition position)
    {
        lock (_lock)
        {
            _all = Math.Max(_all, position.NextTransaction);
            _tenants.Clear();
        }
    }

    /// <summary>This process has changed the tenant, or all of them (null).</summary>
    public void AddOwn(TenantId? tenant)
    {
        if (Window == TimeSpan.Zero)
        {
            return;
        }

        lock (_lock)
        {
            _unconfirmed.Add(tenant);
        }
    }

    /// <summary>The log is about to be read: what this process has changed until now was committed before.</summary>
    public void BeginToConfirm()
    {
        lock (_lock)
        {
            foreach (var tenant in _unconfirmed.Tenants)
            {
                _confirming.Add(tenant);
            }

            _confirming.All |= _unconfirmed.All;
            _unconfirmed = new([]);
        }
    }

    /// <summary>The log has been read.</summary>
    public void Confirm()
    {
        lock (_lock)
        {
            _confirming = new([]);
        }
    }

    // Before the log was read for the first time nobody knows whose it is.
    private bool IsOfBefore(RowPosition position) =>
        position.Below < _all || (_serverStartedAt is { } started && position.ServerStartedAt != started);

    // What no cached value is old enough for; else all of it, and all cached values are doubted.
    private void MakeRoom()
    {
        foreach (var (tenant, (_, at)) in _tenants)
        {
            if (time.GetElapsedTime(at) > Window)
            {
                _tenants.Remove(tenant);
            }
        }

        if (_tenants.Count >= Most)
        {
            _all = Math.Max(_all, _tenants.Values.Max(c => c.Transaction) + 1);
            _tenants.Clear();
        }
    }

    private sealed class Own(HashSet<TenantId> tenants)
    {
        public IEnumerable<TenantId> Tenants => tenants;

        public bool All { get; set; }

        public bool Has(TenantId tenant) => All || tenants.Contains(tenant);

        public void Add(TenantId? tenant)
        {
            if (tenant is { } one)
            {
                tenants.Add(one);
            }
            else
            {
                All = true;
            }
        }
    }
}
