using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantMigrator(
    ITenantStore tenants,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    SearchPath searchPath,
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
        // What is wrong with the migrations themselves is wrong for every tenant: say it once, before the first.
        _ = scripts.All;
        var results = new ConcurrentBag<TenantMigrationResult>();
        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = (options ?? new()).Parallelism,
            CancellationToken = ct,
        };
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
        var all = scripts.All;
        var source = await sources.AcquireAsync(tenant.ConnectionName, ct).ConfigureAwait(false);
        try
        {
            var connection = source.Unpooled.CreateConnection();
            await using var _ = connection.ConfigureAwait(false);
            await opening.OpenAsync(connection, source.Row, null, async: true, ct).ConfigureAwait(false);
            var migration = new SchemaMigration(connection, tenant.Schema, searchPath);
            await migration.BeginAsync(ct).ConfigureAwait(false);

            var before = new List<string>();
            var applied = new List<string>();
            var ahead = false;
            foreach (var script in all)
            {
                var history = await migration.ReadHistoryAsync(script.History, ct).ConfigureAwait(false);
                before.AddRange(history);
                if (history.Except(script.Steps.Select(s => s.Id), StringComparer.Ordinal).Any())
                {
                    ahead = true;
                    continue;
                }

                var pending = script.Steps.ExceptBy(history, s => s.Id, StringComparer.Ordinal).ToList();
                await migration.ApplyAsync(script.History, pending, ct).ConfigureAwait(false);
                applied.AddRange(pending.Select(s => s.Id));
            }

            var from = before.Max(StringComparer.Ordinal);
            var to = before.Concat(applied).Max(StringComparer.Ordinal);
            if (to != tenant.SchemaVersion)
            {
                await WriteVersionAsync(tenant.Id, to, ct).ConfigureAwait(false);
            }

            if (applied.Count > 0)
            {
                AdminLogMessages.TenantMigrated(log, tenant.Slug, from ?? "nothing", to!);
            }

            return new TenantMigrationResult
            {
                TenantId = tenant.Id,
                Slug = tenant.Slug,
                Status =
                    ahead ? TenantMigrationStatus.Ahead
                    : applied.Count > 0 ? TenantMigrationStatus.Migrated
                    : TenantMigrationStatus.UpToDate,
                From = from,
                To = to,
                Applied = applied,
                Duration = time.GetElapsedTime(started),
            };
        }
        finally
        {
            source.Release();
        }
    }

    private async Task WriteVersionAsync(TenantId tenant, string? version, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        await context
            .Tenants.Where(t => t.Id == tenant.Value)
            .ExecuteUpdateAsync(set => set.SetProperty(t => t.SchemaVersion, version), ct)
            .ConfigureAwait(false);
    }
}
