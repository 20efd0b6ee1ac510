using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantMigrator(
    ITenantStore tenants,
    AdminTenantStore registry,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    PendingMigrations pending,
    IConnectionRegistry rows,
    SearchPath searchPath,
    TenantMigration migration,
    FleetPlanning planning,
    SharedMigration shared,
    MigrationRuns runs,
    MigrationClaims claims,
    MigrationRunner runner,
    ConnectionOpening opening,
    IOptions<ConnectionOptions> connections,
    TimeProvider time,
    ILogger<TenantMigrator> log
) : ITenantMigrator
{
    public async Task<TenantMigrationResult> MigrateAsync(TenantId tenant, CancellationToken ct = default)
    {
        var found =
            await tenants.FindAsync(tenant, ct).ConfigureAwait(false) ?? throw new TenantNotFoundException(tenant);
        if (found.Status is not (TenantStatus.Active or TenantStatus.Suspended))
        {
            throw new TenantUnavailableException(found);
        }

        using var apart = AmbientTransaction.Suppress();
        var worker = new WorkerConnection(sources, opening);
        await using var _ = worker.ConfigureAwait(false);
        using var done = new CancellationTokenSource();
        var renewing = Task.CompletedTask;
        var hasBegun = false;
        TenantMigrationResult? result = null;
        try
        {
            result = await migration
                .RunAsync(worker, found, new MigrateAllOptions(), BeginAsync, ct)
                .ConfigureAwait(false);
            if (result.MayChangeTypes)
            {
                await TypeReload.TryAsync(worker.Source, log, ct).ConfigureAwait(false);
            }

            return result;
        }
        finally
        {
            await done.CancelAsync().ConfigureAwait(false);
            await renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (hasBegun || result is not null)
            {
                await TryEndAsync(found, result).ConfigureAwait(false);
            }
        }

        async Task BeginAsync(CancellationToken token)
        {
            await claims.BeginAsync(found.Id, token).ConfigureAwait(false);
            if (!hasBegun)
            {
                hasBegun = true;
                renewing = RenewAsync(found.Id, done.Token);
            }
        }
    }

    public async Task<FleetPlan> PlanAsync(CancellationToken ct = default)
    {
        using var apart = AmbientTransaction.Suppress();
        return await planning.PlanAsync(null, ct).ConfigureAwait(false);
    }

    public async Task<MigrationRun> MigrateAllAsync(
        MigrateAllOptions? options = null,
        IProgress<MigrationProgress>? progress = null,
        CancellationToken ct = default
    )
    {
        options ??= new MigrateAllOptions();
        options.Validate();
        using var apart = AmbientTransaction.Suppress();
        var plan = await planning.PlanAsync(null, ct).ConfigureAwait(false);
        ThrowIfUnknown(options.Rings, plan);
        await TryWriteVersionsAsync(plan, ct).ConfigureAwait(false);

        shared.ThrowIfRefused();
        var faulty = await MigrateSharedAsync(plan, ct).ConfigureAwait(false);

        // A role may lack a right where no migration is pending; the run grants it.
        var queue = plan.Tenants.Where(t =>
            t.State is PlannedTenantState.Pending or PlannedTenantState.Unknown
            || connections.Value.TenantRoles
            || faulty.Contains(t.ConnectionName)
        );
        var queued = RingOrder.Of([.. queue], options.Rings);
        var none = new MigrationRun { Status = MigrationRunStatus.Completed, Target = plan.Target };
        var rest = plan.Tenants.ExceptBy(queued.Select(q => q.Id), t => t.TenantId);
        foreach (var tenant in rest)
        {
            progress?.Report(new MigrationProgress { Run = none, Tenant = Untouched(tenant) });
        }

        if (queued.Count == 0)
        {
            await runs.FinishForgottenAsync(plan, ct).ConfigureAwait(false);
            return none;
        }

        if (await runs.JoinAsync(plan, options.ErrorBudget, queued, ct).ConfigureAwait(false) is not { } run)
        {
            return none;
        }

        try
        {
            return await runner.RunAsync(run, options, progress, ct).ConfigureAwait(false);
        }
        finally
        {
            registry.ForgetAll();
        }
    }

    public Task<MigrationRun?> GetStatusAsync(Guid? run = null, CancellationToken ct = default) =>
        runs.FindWithFailuresAsync(run, ct);

    public async Task<string> GenerateScriptAsync(TenantId tenant, CancellationToken ct = default)
    {
        var found =
            await tenants.FindAsync(tenant, ct).ConfigureAwait(false) ?? throw new TenantNotFoundException(tenant);
        using var apart = AmbientTransaction.Suppress();
        var steps = await pending.ReadAsync(found, scripts.For(found), ct).ConfigureAwait(false);
        var row =
            await rows.FindAsync(found.ConnectionName, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(found.ConnectionName);
        return TenantScript.Of(found, steps, row, searchPath);
    }

    // A canary that is misspelled would let the whole fleet go first.
    private static void ThrowIfUnknown(IReadOnlyList<MigrationRing> rings, FleetPlan plan)
    {
        var unknown = rings
            .SelectMany(r => r.Slugs)
            .Except(plan.Tenants.Select(t => t.Slug), StringComparer.Ordinal)
            .ToList();
        if (unknown.Count > 0)
        {
            throw new ArgumentException(
                $"A ring names tenants that are not there, or not active or suspended: {string.Join(", ", unknown)}. Nothing was done."
            );
        }
    }

    private static TenantMigrationResult Untouched(PlannedTenant tenant) =>
        new()
        {
            TenantId = tenant.TenantId,
            Slug = tenant.Slug,
            Status =
                tenant.State == PlannedTenantState.Ahead ? TenantMigrationStatus.Ahead : TenantMigrationStatus.UpToDate,
            From = tenant.Version,
            To = tenant.Version,
        };

    private async Task RenewAsync(TenantId tenant, CancellationToken ct)
    {
        while (true)
        {
            await Task.Delay(MigrationClaims.Duration / 3, time, ct).ConfigureAwait(false);
            try
            {
                await claims.BeginAsync(tenant, ct).ConfigureAwait(false);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                AdminLogMessages.RunNotHeardOf(log, e);
            }
        }
    }

    /// <summary>The shared tables of each database come first; where that fails, so will each of its tenants, and say so.</summary>
    private async Task<HashSet<string>> MigrateSharedAsync(FleetPlan plan, CancellationToken ct)
    {
        var faulty = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in plan.Tenants.Select(t => t.ConnectionName).Distinct(StringComparer.Ordinal))
        {
            try
            {
                await shared.MigrateAsync(name, ct).ConfigureAwait(false);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                AdminLogMessages.SharedNotMigrated(log, name, FailureText.Of(e));
                faulty.Add(name);
            }
        }

        return faulty;
    }

    /// <summary>What the histories say and the registry does not: migrated by hand, or by one who could not write it.</summary>
    private async Task TryWriteVersionsAsync(FleetPlan plan, CancellationToken ct)
    {
        var differing = plan
            .Tenants.Where(t =>
                t.State is PlannedTenantState.UpToDate or PlannedTenantState.Ahead
                && string.CompareOrdinal(t.Version, t.RegisteredVersion) > 0
            )
            .Select(t => new QueuedTenant(t.TenantId, t.Version, Registered: t.RegisteredVersion))
            .ToList();
        try
        {
            await runs.WriteVersionsAsync(differing, ct).ConfigureAwait(false);
            if (differing.Count > 0)
            {
                registry.ForgetAll();
            }
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            AdminLogMessages.VersionNotWritten(log, e, $"{differing.Count} tenants", "what their schemas say");
        }
    }

    // The schema is as it is: nothing from here on may say otherwise, and no token keeps it from being written.
    private async Task TryEndAsync(Tenant tenant, TenantMigrationResult? result)
    {
        try
        {
            await claims.EndAsync(tenant.Id, result, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.VersionNotWritten(log, e, tenant.Slug, result?.To ?? "nothing");
        }

        registry.ForgetAll();
    }
}
