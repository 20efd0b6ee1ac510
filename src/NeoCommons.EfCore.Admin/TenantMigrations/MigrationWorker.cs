using Microsoft.Extensions.Logging;
using Npgsql;
using Polly;
using Polly.Retry;

namespace NeoCommons.EfCore.Admin;

/// <summary>Migrates tenants of one server, one after the other, until the run has none left for it.</summary>
internal sealed class MigrationWorker(
    Guid run,
    long key,
    Guid[] server,
    MigrateAllOptions options,
    MigrationClaims claims,
    TenantMigration migration,
    WorkerConnection connection,
    SemaphoreSlim total,
    RunReports reports,
    TimeProvider time,
    ILogger<MigrationWorker> log
)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    private readonly HashSet<string> _retyped = new(StringComparer.Ordinal);

    /// <summary>What came of the last tenant, as long as it is not written.</summary>
    private TenantMigrationResult? _before;

    /// <summary>Whether it has begun to change the tenant that it is at.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The connections where a migration may have changed types.</summary>
    public IEnumerable<string> Retyped => _retyped;

    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (await StepAsync(ct).ConfigureAwait(false)) { }
        }
        catch when (_before is not null)
        {
            // It is done, and the registry should know, whatever ends us.
            await claims.RecordAsync(run, key, _before, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Migrates a tenant, or waits for one; false where there will be none.</summary>
    private async Task<bool> StepAsync(CancellationToken ct)
    {
        await total.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            var row = await Persisting
                .ExecuteAsync(
                    async token => await claims.NextAsync(run, key, server, _before, token).ConfigureAwait(false),
                    ct
                )
                .ConfigureAwait(false);
            reports.Add(_before);
            _before = null;
            if (row is not null)
            {
                _before = await VisitAsync(row, ct).ConfigureAwait(false);
                HasBegun = false;
                if (_before.MayChangeTypes)
                {
                    _retyped.Add(row.ConnectionName);
                }

                return true;
            }
        }
        finally
        {
            total.Release();
        }

        // The session holds the lock of its last schema, which others may wait for.
        await connection.DisposeAsync().ConfigureAwait(false);
        var goesOn = await Persisting
            .ExecuteAsync(async token => await claims.IsUnfinishedAsync(run, server, token).ConfigureAwait(false), ct)
            .ConfigureAwait(false);
        if (goesOn)
        {
            await Task.Delay(Patience, time, ct).ConfigureAwait(false);
        }

        return goesOn;
    }

    /// <summary>For what is written to the admin database: it is away for a while when its server restarts.</summary>
    private ResiliencePipeline Persisting =>
        field ??= new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(
                new RetryStrategyOptions
                {
                    ShouldHandle = new PredicateBuilder().Handle<NpgsqlException>(e =>
                        e.IsTransient || e.SqlState?.StartsWith("57P", StringComparison.Ordinal) is true
                    ),
                    MaxRetryAttempts = 6,
                    BackoffType = DelayBackoffType.Exponential,
                    Delay = Patience,
                    MaxDelay = TimeSpan.FromSeconds(5),
                }
            )
            .Build();

    private async Task<TenantMigrationResult> VisitAsync(TenantRow row, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        try
        {
            var tenant = row.ToTenant();
            return tenant.Status is TenantStatus.Active or TenantStatus.Suspended
                ? await migration.RunAsync(connection, tenant, options, BeginAsync, ct).ConfigureAwait(false)
                : Untouched(tenant);
        }
        catch (Exception e) when (e is TenantUnavailableException or TenantNotFoundException)
        {
            return Untouched(row.ToTenant());
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            AdminLogMessages.MigrationFailed(log, e, row.Slug);
            return new TenantMigrationResult
            {
                TenantId = new TenantId(row.Id),
                Slug = row.Slug,
                Status = TenantMigrationStatus.Failed,
                From = row.SchemaVersion,
                To = row.SchemaVersion,
                Duration = time.GetElapsedTime(started),
                Error = e,
                HadNotBegun = !HasBegun,
            };
        }

        Task BeginAsync(CancellationToken token)
        {
            HasBegun = true;
            return claims.BeginAsync(new TenantId(row.Id), token);
        }
    }

    // It was archived or deleted since the run began: there is nothing to do, and nothing is wrong.
    private static TenantMigrationResult Untouched(Tenant tenant) =>
        new()
        {
            TenantId = tenant.Id,
            Slug = tenant.Slug,
            Status = TenantMigrationStatus.UpToDate,
            From = tenant.SchemaVersion,
            To = tenant.SchemaVersion,
        };
}
