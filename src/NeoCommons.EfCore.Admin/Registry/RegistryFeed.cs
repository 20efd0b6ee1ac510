using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps what this process knows of the registry up to date: reads what changed, and forgets or reloads it.</summary>
/// <remarks>Woken by <see cref="RegistryListener"/>, and every <see cref="AdminDatabaseOptions.RefreshInterval"/> anyway.</remarks>
internal sealed class RegistryFeed(
    RegistryChangeLog changes,
    AdminConnectionRegistry connections,
    AdminTenantStore tenants,
    TenantCache cache,
    RecentChanges recent,
    AdminMigration migration,
    RegistryMetrics metrics,
    IOptions<AdminDatabaseOptions> options,
    TimeProvider time,
    ILogger<RegistryFeed> log
) : BackgroundService, IRegistryReload
{
    /// <summary>However many notifications come, the log is read at most this often.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    /// <summary>What could not be read is read again soon: until then, nobody knows what it holds.</summary>
    private static readonly TimeSpan LongestAfterFailure = TimeSpan.FromSeconds(5);

    /// <summary>
    /// For what no trigger tells: a row that could not be read, triggers that were switched off; and often enough for the
    /// connections to be always in Redis, where one is.
    /// </summary>
    private readonly TimeSpan _reloadInterval =
        recent.Window > TimeSpan.Zero && recent.Window / 2 < TenantCache.Longest
            ? recent.Window / 2
            : TenantCache.Longest;

    private TimeSpan RetryInterval =>
        options.Value.RefreshInterval < LongestAfterFailure ? options.Value.RefreshInterval : LongestAfterFailure;

    private readonly WakeUp _wakeUp = new();
    private readonly SemaphoreSlim _one = new(1);
    private RegistryPosition? _position;
    private bool _isMigrated = !options.Value.MigrateOnStart;
    private Task _completing = Task.CompletedTask;
    private long _completed = time.GetTimestamp();
    private long _reloaded;
    private long _pruned = time.GetTimestamp();

    /// <summary>Has the log read soon.</summary>
    public void Wake() => _wakeUp.Call();

    public async Task ReloadAsync(CancellationToken ct = default)
    {
        await CatchUpAsync(reload: true, ct).ConfigureAwait(false);
        tenants.ForgetAll();
    }

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        ConnectionUnavailableException? away = null;
        try
        {
            await EnsureMigratedAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ConnectionUnavailableException e)
            when (e.Reason is ConnectionUnavailableReason.Unreachable or ConnectionUnavailableReason.Refused)
        {
            away = e;
        }

        try
        {
            await connections.LoadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (away is null && !cancellationToken.IsCancellationRequested)
        {
            // The database may come up after us: the first use asks again, and the health check tells.
            AdminLogMessages.RegistryNotLoaded(log, e);
        }

        if (away is not null)
        {
            if (!connections.IsFromOthers)
            {
                ExceptionDispatchInfo.Throw(away);
            }

            // Other processes have cached the registry, so it was there; it is brought up to date when it answers.
            AdminLogMessages.StartedFromSharedCache(log, away);
        }

        connections.ThrowIfKeyIsWrong();
        await base.StartAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task EnsureMigratedAsync(CancellationToken ct)
    {
        if (!_isMigrated)
        {
            await migration.MigrateAsync(ct).ConfigureAwait(false);
            _isMigrated = true;
        }
    }

    // What is there may be good enough, whatever keeps it from being brought up to date.
    private async Task TryMigrateAsync(CancellationToken ct)
    {
        try
        {
            await EnsureMigratedAsync(ct).ConfigureAwait(false);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            AdminLogMessages.RegistryNotRefreshed(log, e);
        }
    }

    /// <summary>Asks for passwords that are missing, beside all else: who is asked may hang.</summary>
    private void Complete(CancellationToken ct)
    {
        if (connections.IsIncomplete && _completing.IsCompleted && time.GetElapsedTime(_completed) >= RetryInterval)
        {
            _completed = time.GetTimestamp();
            _completing = connections.CompleteAsync(ct).LetGo();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await TryMigrateAsync(stoppingToken).ConfigureAwait(false);
                await CatchUpAsync(reload: false, stoppingToken).ConfigureAwait(false);
                Complete(stoppingToken);
                await PruneAsync(stoppingToken).ConfigureAwait(false);
                await Task.Delay(Pause, time, stoppingToken).ConfigureAwait(false);
                await _wakeUp.WaitAsync(options.Value.RefreshInterval, time, stoppingToken).ConfigureAwait(false);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                AdminLogMessages.RegistryNotRefreshed(log, e);
                cache.IsFollowed = false;
                if (await TryReloadAsync(stoppingToken).ConfigureAwait(false))
                {
                    // It can be read, and what changes in it cannot: nobody would tell of a tenant.
                    cache.DropAll();
                }

                await WaitAfterFailureAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    // However often it is called: a database that is down is not to be overrun.
    private async Task WaitAfterFailureAsync(CancellationToken ct)
    {
        await Task.Delay(Pause, time, ct).ConfigureAwait(false);
        await _wakeUp.WaitAsync(RetryInterval, time, ct).ConfigureAwait(false);
    }

    /// <summary>Takes in what changed since the last time; where that fails, the next time begins where this one did.</summary>
    private async Task CatchUpAsync(bool reload, CancellationToken ct)
    {
        await _one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            recent.BeginToConfirm();
            var (position, read) = await changes.ReadAsync(_position, recent.Window, ct).ConfigureAwait(false);
            recent.Follow(position.StartedAt);
            var isFirst = _position is null;
            var anyTenant = read is null || read.Any(c => c.Kind == RegistryChangeKind.Tenants);
            if (anyTenant)
            {
                recent.AddAll(position);
            }

            // What was looked up before the log was read for the first time may have changed in between.
            if (anyTenant || isFirst)
            {
                cache.DropAll();
            }

            foreach (var change in read ?? [])
            {
                recent.Add(change);
                if (change.Tenant is { } tenant)
                {
                    cache.Drop(tenant, change.Slugs);
                }
            }

            if (
                reload
                || isFirst
                || read?.Any(c => c.Kind == RegistryChangeKind.Connections) is not false
                || time.GetElapsedTime(_reloaded) >= _reloadInterval
            )
            {
                await connections.ReloadAsync(ct).ConfigureAwait(false);
                _reloaded = time.GetTimestamp();
            }

            _position = position;
            recent.Confirm();
            cache.IsFollowed = true;
            metrics.CaughtUp(read?.Count ?? 0);
            Publish(isFirst || anyTenant ? null : read);
        }
        finally
        {
            _one.Release();
        }
    }

    // The log may be what is missing, of an admin schema that has not been brought up to date yet.
    private async Task<bool> TryReloadAsync(CancellationToken ct)
    {
        try
        {
            await connections.ReloadAsync(ct).ConfigureAwait(false);
            return true;
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            // The first failure has been logged, and is this one's.
            return false;
        }
    }

    /// <param name="read">Null: any tenant may have changed.</param>
    private void Publish(IReadOnlyList<RegistryChange>? read)
    {
        if (read is null)
        {
            tenants.Changes.Publish(null);
            return;
        }

        foreach (var tenant in read.Select(c => c.Tenant).OfType<TenantId>().Distinct())
        {
            tenants.Changes.Publish(tenant);
        }
    }

    private async Task PruneAsync(CancellationToken ct)
    {
        if (time.GetElapsedTime(_pruned) >= PruneInterval)
        {
            _pruned = time.GetTimestamp();
            try
            {
                await changes.PruneAsync(ct).ConfigureAwait(false);
            }
            catch (NpgsqlException e)
            {
                // What changes is known all the same.
                AdminLogMessages.RegistryLogNotPruned(log, e);
            }
        }
    }
}
