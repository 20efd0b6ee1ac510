using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantMigrator(
    ITenantStore tenants,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    SearchPath searchPath,
    TenantRights rights,
    ConnectionOpening opening,
    IDbContextFactory<AdminDbContext> contexts,
    TimeProvider time,
    ILogger<TenantMigrator> log
) : ITenantMigrator
{
    public async Task<TenantMigrationResult> MigrateAsync(TenantId tenant, CancellationToken ct = default)
    {
        var found =
            await tenants.FindAsync(tenant, ct).ConfigureAwait(false) ?? throw new TenantNotFoundException(tenant);
        return CanBeMigrated(found)
            ? await MigrateAsync(found, ct).ConfigureAwait(false)
            : throw new TenantUnavailableException(found);
    }

    public async Task<IReadOnlyList<TenantMigrationResult>> MigrateAllAsync(
        MigrateAllOptions? options = null,
        IProgress<TenantMigrationResult>? progress = null,
        CancellationToken ct = default
    )
    {
        options ??= new MigrateAllOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Parallelism, 1, nameof(options));

        // What is wrong with the migrations themselves is wrong for every tenant: say it once, before the first.
        _ = scripts.All;
        var results = new ConcurrentBag<TenantMigrationResult>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Parallelism, CancellationToken = ct };
        await Parallel
            .ForEachAsync(
                tenants.ListAsync(ct),
                parallel,
                async (tenant, token) =>
                {
                    if (CanBeMigrated(tenant))
                    {
                        var result = await TryMigrateAsync(tenant, token).ConfigureAwait(false);
                        results.Add(result);
                        progress?.Report(result);
                    }
                }
            )
            .ConfigureAwait(false);
        return [.. results.OrderBy(r => r.Slug, StringComparer.Ordinal)];
    }

    private static bool CanBeMigrated(Tenant tenant) => tenant.Status is TenantStatus.Active or TenantStatus.Suspended;

    private async Task<TenantMigrationResult> TryMigrateAsync(Tenant tenant, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        try
        {
            return await MigrateAsync(tenant, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            AdminLogMessages.MigrationFailed(log, e, tenant.Slug);
            return new TenantMigrationResult
            {
                TenantId = tenant.Id,
                Slug = tenant.Slug,
                Status = TenantMigrationStatus.Failed,
                From = tenant.SchemaVersion,
                To = tenant.SchemaVersion,
                Duration = time.GetElapsedTime(started),
                Error = e,
            };
        }
    }

    private async Task<TenantMigrationResult> MigrateAsync(Tenant tenant, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        using var apart = AmbientTransaction.Suppress();
        var all = scripts.All;
        var source = await sources.AcquireAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var plan = await MigrateAsync(connection, source.Row, tenant, all, ct).ConfigureAwait(false);

            // The schema is migrated: nothing from here on may say otherwise.
            await TryWriteVersionAsync(tenant, plan.To, ct).ConfigureAwait(false);
            await TypeReload.TryAsync(source, plan.Pending, log, ct).ConfigureAwait(false);
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
                Duration = time.GetElapsedTime(started),
            };
        }
        finally
        {
            source.Release();
        }
    }

    private async Task<MigrationPlan> MigrateAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        Tenant tenant,
        IReadOnlyList<MigrationScript> known,
        CancellationToken ct
    )
    {
        if (row.Pooler == PoolerMode.Transaction)
        {
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            var inOne = new SchemaMigration(connection, tenant.Schema, searchPath, time, hasSession: false);
            var all = await PlanAsync(inOne).ConfigureAwait(false);
            MigrationStep.ThrowIfNotTransactional(all.Pending, row);
            await inOne.ApplyInTransactionAsync(all.Pending, ct).ConfigureAwait(false);
            await rights.GrantInTransactionAsync(connection, row, tenant.Id, tenant.Schema, ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
            return all;
        }

        var migration = new SchemaMigration(connection, tenant.Schema, searchPath, time, hasSession: true);
        var plan = await PlanAsync(migration).ConfigureAwait(false);
        await migration.ApplyAsync(plan.Pending, ct).ConfigureAwait(false);
        await rights.GrantAsync(connection, row, tenant.Id, tenant.Schema, ct).ConfigureAwait(false);
        return plan;

        async Task<MigrationPlan> PlanAsync(SchemaMigration run)
        {
            await run.LockAsync(ct).ConfigureAwait(false);
            await run.BindAsync(ct).ConfigureAwait(false);
            return await run.PlanAsync(known, ct).ConfigureAwait(false);
        }
    }

    private async Task TryWriteVersionAsync(Tenant tenant, string? version, CancellationToken ct)
    {
        if (version == tenant.SchemaVersion)
        {
            return;
        }

        try
        {
            var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
            await using var _ = context.ConfigureAwait(false);
            await context
                .Tenants.Where(t => t.Id == tenant.Id.Value)
                .ExecuteUpdateAsync(set => set.SetProperty(t => t.SchemaVersion, version), ct)
                .ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.VersionNotWritten(log, e, tenant.Slug, version ?? "nothing");
        }
    }
}
