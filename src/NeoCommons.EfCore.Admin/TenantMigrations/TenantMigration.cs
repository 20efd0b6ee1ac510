using Microsoft.Extensions.Logging;
using Npgsql;
using Polly;
using Polly.Retry;

namespace NeoCommons.EfCore.Admin;

/// <summary>Brings one tenant's schema to the newest migration.</summary>
internal sealed class TenantMigration(
    TenantMigrationScripts scripts,
    SearchPath searchPath,
    TenantRights rights,
    SharedMigration shared,
    MigrationClaims claims,
    TimeProvider time,
    ILogger<TenantMigration> log
)
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Migrates the tenant, wherever it has moved meanwhile; tries again when a lock times out or the connection is lost.
    /// </summary>
    /// <param name="worker">The connection to use; it is closed after a failure.</param>
    /// <param name="tenant">The tenant.</param>
    /// <param name="options">How long to wait for a lock, and how often to try.</param>
    /// <param name="beginning">Is told when the schema is ours and something is about to change in it.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="TenantUnavailableException">It was archived meanwhile.</exception>
    /// <exception cref="TenantNotFoundException">It was deleted meanwhile.</exception>
    public async Task<TenantMigrationResult> RunAsync(
        WorkerConnection worker,
        Tenant tenant,
        MigrateAllOptions options,
        Func<CancellationToken, Task> beginning,
        CancellationToken ct
    )
    {
        while (true)
        {
            try
            {
                return await RunWhereItIsAsync(worker, tenant, options, beginning, ct).ConfigureAwait(false);
            }
            catch (TenantIsolationException)
            {
                // Whoever gives the schema another name holds its lock, so that is what was waited for.
                var now = (await claims.FindAsync(tenant.Id, ct).ConfigureAwait(false))?.ToTenant();
                ThrowIfOutOfUse(tenant.Id, now);
                if ((now!.Schema.Value, now.ConnectionName) == (tenant.Schema.Value, tenant.ConnectionName))
                {
                    throw;
                }

                tenant = now;
            }
        }
    }

    private static void ThrowIfOutOfUse(TenantId id, Tenant? tenant)
    {
        if (tenant is null)
        {
            throw new TenantNotFoundException(id);
        }

        if (tenant.Status is not (TenantStatus.Active or TenantStatus.Suspended))
        {
            throw new TenantUnavailableException(tenant);
        }
    }

    private async Task<TenantMigrationResult> RunWhereItIsAsync(
        WorkerConnection worker,
        Tenant tenant,
        MigrateAllOptions options,
        Func<CancellationToken, Task> beginning,
        CancellationToken ct
    )
    {
        var started = time.GetTimestamp();
        var plan = await Retrying(options.Attempts, tenant)
            .ExecuteAsync(
                async token =>
                {
                    try
                    {
                        var done = await TryAsync(worker, tenant, options, beginning, token).ConfigureAwait(false);

                        // Its read-only contexts read at the primary until the standbys have it.
                        worker.Source.Hosts?.NoteWrite(tenant.Id);
                        return done;
                    }
                    catch
                    {
                        // Whatever the session is in the middle of ends with it, the schema's lock too.
                        await worker.DisposeAsync().ConfigureAwait(false);
                        throw;
                    }
                },
                ct
            )
            .ConfigureAwait(false);
        await ReleaseAsync(worker, ct).ConfigureAwait(false);
        if (plan.Pending.Count > 0)
        {
            AdminLogMessages.TenantMigrated(log, tenant.Slug, plan.From ?? "nothing", plan.To!);
        }

        return new TenantMigrationResult
        {
            TenantId = tenant.Id,
            Slug = tenant.Slug,
            Status =
                plan.IsAhead ? TenantMigrationStatus.Ahead
                : plan.Pending.Count > 0 ? TenantMigrationStatus.Migrated
                : TenantMigrationStatus.UpToDate,
            From = plan.From,
            To = plan.To,
            Applied = [.. plan.Pending.Select(s => s.Id)],
            MayChangeTypes = plan.Pending.Any(s => s.MayChangeTypes),
            Duration = time.GetElapsedTime(started),
        };
    }

    private async Task<MigrationPlan> TryAsync(
        WorkerConnection worker,
        Tenant tenant,
        MigrateAllOptions options,
        Func<CancellationToken, Task> beginning,
        CancellationToken ct
    )
    {
        var all = scripts.For(tenant);
        var connection = await worker.OpenAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        await shared.EnsureAsync(worker.Source, ct).ConfigureAwait(false);
        var row = worker.Source.Row;
        var hasSession = row.Pooler != PoolerMode.Transaction;
        var migration = new SchemaMigration(
            connection,
            tenant.Schema,
            searchPath,
            time,
            hasSession,
            options.LockTimeout
        );
        if (!hasSession)
        {
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            var inOne = await PlanAsync().ConfigureAwait(false);
            MigrationStep.ThrowIfNotTransactional(inOne.Pending, row);
            await migration.ApplyInTransactionAsync(inOne.Pending, ct).ConfigureAwait(false);
            await rights.GrantInTransactionAsync(connection, row, tenant.Id, tenant.Schema, ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
            return inOne;
        }

        var plan = await PlanAsync().ConfigureAwait(false);
        await migration.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
        await rights.GrantAsync(connection, row, tenant.Id, tenant.Schema, ct).ConfigureAwait(false);
        return plan;

        async Task<MigrationPlan> PlanAsync()
        {
            await migration.LockAsync(ct, options.SchemaLockTimeout).ConfigureAwait(false);
            await migration.BindAsync(ct).ConfigureAwait(false);
            var found = await migration.PlanAsync(all, ct).ConfigureAwait(false);
            if (found.Pending.Count > 0)
            {
                await beginning(ct).ConfigureAwait(false);
            }

            return found;
        }
    }

    // The schema is as it is. Its lock is not kept until the worker has its next turn: others may wait for it.
    private static async Task ReleaseAsync(WorkerConnection worker, CancellationToken ct)
    {
        try
        {
            await worker.ResetAsync(ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException)
        {
            await worker.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ResiliencePipeline Retrying(int attempts, Tenant tenant) =>
        attempts == 1
            ? ResiliencePipeline.Empty
            : new ResiliencePipelineBuilder { TimeProvider = time }
                .AddRetry(
                    new RetryStrategyOptions
                    {
                        ShouldHandle = new PredicateBuilder().Handle<Exception>(IsTransient),
                        MaxRetryAttempts = attempts - 1,
                        BackoffType = DelayBackoffType.Exponential,
                        UseJitter = true,
                        Delay = FirstDelay,
                        MaxDelay = LongestDelay,
                        OnRetry = retry =>
                        {
                            AdminLogMessages.MigrationRetried(
                                log,
                                tenant.Slug,
                                FailureText.Of(retry.Outcome.Exception!)
                            );
                            return default;
                        },
                    }
                )
                .Build();

    // What is left of a failed attempt is nothing, or what SuppressedStep has noted: trying again is safe.
    private static bool IsTransient(Exception e) =>
        e switch
        {
            PostgresException p => p.SqlState
                is PostgresErrorCodes.LockNotAvailable
                    or PostgresErrorCodes.DeadlockDetected
                    or PostgresErrorCodes.SerializationFailure
                || p.IsTransient
                || p.SqlState.StartsWith("57P", StringComparison.Ordinal),
            NpgsqlException n => n.IsTransient,
            ConnectionUnavailableException u => u.Reason == ConnectionUnavailableReason.Unreachable
                || (u.InnerException is { } inner && IsTransient(inner)),
            _ => false,
        };
}
