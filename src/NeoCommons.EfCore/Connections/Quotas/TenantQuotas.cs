using System.Collections.Concurrent;

namespace NeoCommons.EfCore;

/// <summary>The limiters of the tenants that use a pool: memory for those, and for no others.</summary>
/// <remarks>
/// Each pool has its own. While a pool is replaced, what the old one still serves does not count in the new one: work that
/// has begun must not hold up what takes its place.
/// </remarks>
internal sealed class TenantQuotas : IDisposable
{
    /// <summary>How long a tenant that nobody uses keeps its limiter, at least; longer where metrics look back longer.</summary>
    internal static readonly TimeSpan Idle = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<TenantId, TenantLimiter> _active = [];
    private readonly QuotaOptions _options;
    private readonly TimeSpan _window;
    private readonly TimeProvider _time;
    private readonly ITimer _sweeping;

    public TenantQuotas(ConnectionOptions options, TimeProvider time)
    {
        _options = options.Quotas;
        _window = options.MetricsWindow;
        _time = time;
        var idle = _window > Idle ? _window : Idle;

        // On no caller's behalf.
        var flow = ExecutionContext.IsFlowSuppressed() ? default : ExecutionContext.SuppressFlow();
        _sweeping = time.CreateTimer(static all => ((TenantQuotas)all!).Sweep(), this, idle, idle);
        flow.Dispose();
    }

    /// <summary>What each of them does.</summary>
    public IEnumerable<TenantUsage> Usages(string connectionName) =>
        _active
            .Values.Where(limiter => limiter.IsNamed)
            .Select(limiter =>
                limiter.Activity.Complete(
                    new TenantUsage
                    {
                        TenantId = limiter.Tenant.Id,
                        Slug = limiter.Tenant.Slug,
                        ConnectionName = connectionName,
                        Waiting = limiter.Waiting,
                    }
                )
            );

    /// <summary>How many tenants have one.</summary>
    public int Count => _active.Count;

    /// <summary>
    /// Begins a use of the tenant, under the limits that it has now; end it with <see cref="TenantLimiter.Leave"/>.
    /// </summary>
    public TenantLimiter Enter(Tenant tenant, DatabaseConnection row)
    {
        while (true)
        {
            if (!_active.TryGetValue(tenant.Id, out var limiter))
            {
                var made = new TenantLimiter(_options, new TenantActivity(_window, _time));
                limiter = _active.GetOrAdd(tenant.Id, made);
                if (!ReferenceEquals(limiter, made))
                {
                    made.Dispose();
                }
            }

            if (limiter.TryEnter())
            {
                try
                {
                    limiter.Obey(tenant, row);
                    return limiter;
                }
                catch
                {
                    limiter.Leave();
                    throw;
                }
            }

            // Dropped at this moment: whoever did removes it too.
            _active.TryRemove(KeyValuePair.Create(tenant.Id, limiter));
        }
    }

    /// <summary>Ends all waiting for a tenant's turn.</summary>
    public void EndAll()
    {
        foreach (var limiter in _active.Values)
        {
            limiter.EndAll();
        }
    }

    public void Dispose() => _sweeping.Dispose();

    private void Sweep()
    {
        foreach (var entry in _active)
        {
            if (entry.Value.TryDrop())
            {
                _active.TryRemove(entry);
                entry.Value.Dispose();
            }
        }
    }
}
