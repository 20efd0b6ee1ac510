using System.Threading.RateLimiting;

namespace NeoCommons.EfCore;

/// <summary>What one tenant takes in this process, and how much of it it may take.</summary>
/// <remarks>
/// Those who use the tenant hold it, contexts and open connections, and <see cref="TenantQuotas"/> drops it some time after
/// the last one has ended. Limits can change at any time: what is held counts against the new ones.
/// </remarks>
internal sealed class TenantLimiter(QuotaOptions options, TenantActivity activity) : IDisposable
{
    private const int Dropped = int.MinValue;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly Lock _changing = new();
    private FairGate? _pauses;
    private Tenant? _tenant;
    private DatabaseConnection? _row;
    private volatile TokenBucketRateLimiter? _commands;
    private int _commandsPerSecond;
    private int _users;
    private long _brokeAt;
    private long _pausedUntil;
    private volatile bool _wasUsed;

    /// <summary>A permit for each connection that may be open.</summary>
    public FairGate Connections { get; } = new(FairGate.Unlimited);

    /// <summary>Where they wait until a pause is over: it has no permit (<see cref="Quarantine"/>).</summary>
    public FairGate Pauses => LazyInitializer.EnsureInitialized(ref _pauses, static () => new FairGate(0));

    /// <summary>How many callers wait.</summary>
    public int Waiting => Connections.Waiting + (Volatile.Read(ref _pauses)?.Waiting ?? 0);

    /// <summary>What the tenant does.</summary>
    public TenantActivity Activity => activity;

    /// <summary>The timestamp of the break that keeps it away from the pool, or 0; see <see cref="Quarantine"/>.</summary>
    public long BrokeAt
    {
        get => Volatile.Read(ref _brokeAt);
        set => Volatile.Write(ref _brokeAt, value);
    }

    /// <summary>The timestamp before which it opens no connection apart from the pool.</summary>
    public long PausedUntil
    {
        get => Volatile.Read(ref _pausedUntil);
        set => Volatile.Write(ref _pausedUntil, value);
    }

    /// <summary>How many callers may wait for a connection.</summary>
    public int MaxWaiting { get; private set; }

    /// <summary>The tenant as it is now.</summary>
    public Tenant Tenant => _tenant!;

    /// <summary>Whether the first one to use it has said which tenant it is.</summary>
    public bool IsNamed => _tenant is not null;

    /// <summary>Begins a use; false where it was dropped, and another one is to be asked for.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _users) > 0)
        {
            _wasUsed = true;
            return true;
        }

        Leave();
        return false;
    }

    /// <summary>Ends a use.</summary>
    public void Leave()
    {
        _wasUsed = true;
        Interlocked.Decrement(ref _users);
    }

    /// <summary>Drops it, if it was not used since it was asked the last time.</summary>
    public bool TryDrop()
    {
        if (_wasUsed)
        {
            _wasUsed = false;
            return false;
        }

        return Interlocked.CompareExchange(ref _users, Dropped, 0) == 0;
    }

    /// <summary>Ends all waiting.</summary>
    public void EndAll()
    {
        Connections.EndAll();
        Volatile.Read(ref _pauses)?.EndAll();
    }

    /// <summary>Takes over the limits that the tenant and its connection have now.</summary>
    /// <exception cref="InvalidOperationException">They cannot be: an <see cref="ITenantStore"/> of the application gave them.</exception>
    public void Obey(Tenant tenant, DatabaseConnection row)
    {
        if (ReferenceEquals(tenant, _tenant) && ReferenceEquals(row, _row))
        {
            return;
        }

        if (tenant.Limits.FindFaults($"{nameof(TenantLimits)}.").FirstOrDefault() is { } fault)
        {
            throw new InvalidOperationException($"Tenant '{tenant.Slug}' has a limit that cannot be: {fault}");
        }

        lock (_changing)
        {
            _tenant = tenant;
            _row = row;
            MaxWaiting = tenant.Limits.MaxWaiting ?? options.TenantMaxWaiting;
            var connections = MostConnections(tenant, row);
            if (Connections.Permits != connections)
            {
                Connections.Resize(connections);
            }

            var commands = tenant.Limits.CommandsPerSecond ?? options.TenantCommandsPerSecond ?? 0;
            if (commands != _commandsPerSecond)
            {
                _commandsPerSecond = commands;

                // Who counts a command with the old one at this moment is refused or not by the old limit.
                _commands = commands == 0 ? null : NewBucket(commands);
            }
        }
    }

    /// <summary>Counts a command of EF.</summary>
    /// <param name="figures">Where a refusal is counted.</param>
    /// <exception cref="TenantQuotaExceededException">It is one too many in this second.</exception>
    public void CountCommand(PoolFigures? figures)
    {
        if (_commands is not { } bucket)
        {
            activity.Sent();
            return;
        }

        bucket.TryReplenish();
        using var lease = bucket.AttemptAcquire();
        if (!lease.IsAcquired)
        {
            activity.Refused();
            figures?.CommandRefused();
            throw QuotaRefusal.TooManyCommands(
                Tenant,
                _commandsPerSecond,
                lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : Second
            );
        }

        activity.Sent();
    }

    public void Dispose() => _commands?.Dispose();

    // As many as the pool has are no limit of the tenant's: the pool's own gate is one, and says so.
    private int MostConnections(Tenant tenant, DatabaseConnection row)
    {
        var most =
            tenant.Limits.MaxConnections
            ?? (
                row.Type == ConnectionType.Shared
                    ? Math.Max(1, (int)Math.Ceiling(row.MaxPoolSize * options.TenantConnectionShare))
                    : int.MaxValue
            );
        return most >= row.MaxPoolSize ? FairGate.Unlimited : most;
    }

    // It replenishes itself when it is asked: a timer for each tenant would be one more thing to stop.
    private static TokenBucketRateLimiter NewBucket(int commands) =>
        new(
            new TokenBucketRateLimiterOptions
            {
                TokenLimit = commands,
                TokensPerPeriod = commands,
                ReplenishmentPeriod = Second,
                QueueLimit = 0,
                AutoReplenishment = false,
            }
        );
}
