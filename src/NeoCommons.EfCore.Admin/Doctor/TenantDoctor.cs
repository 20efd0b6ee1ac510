using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <remarks>
/// The registry is read before the plan and the databases, and whatever looks wrong is looked at again: what somebody is
/// at, or has changed meanwhile, is not told. It comes up the next time if it was wrong.
/// </remarks>
internal sealed class TenantDoctor(
    IDbContextFactory<AdminDbContext> contexts,
    IConnectionRegistry connections,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    FleetPlanning planning,
    SearchPath searchPath,
    ConnectionOpening opening,
    TenantFaults faults,
    SecondLook again,
    DoctorMending mending,
    TimeProvider time
) : ITenantDoctor
{
    public async IAsyncEnumerable<TenantFinding> ExamineAsync(
        TenantExamination? examination = null,
        [EnumeratorCancellation] CancellationToken ct = default
    )
    {
        examination ??= new TenantExamination();
        using var apart = AmbientTransaction.Suppress();
        var all = await connections.ListAsync(ct).ConfigureAwait(false);
        if (examination.ConnectionName is { } asked && all.All(c => c.Name != asked))
        {
            throw new ConnectionNotFoundException(asked);
        }

        var registered = await ReadRegistryAsync(examination.ConnectionName, ct).ConfigureAwait(false);
        var plan = await planning.PlanAsync(examination.ConnectionName, ct).ConfigureAwait(false);
        var planned = plan.Tenants.ToDictionary(t => t.TenantId);
        var standIns = all.Select(c => c.FailoverConnection).ToHashSet(StringComparer.Ordinal);
        foreach (var connection in all)
        {
            if ((examination.ConnectionName ?? connection.Name) != connection.Name)
            {
                continue;
            }

            var tenants = registered[connection.Name];
            if (!connection.IsActive)
            {
                if (TenantFaults.Disabled(connection.Name, tenants.Select(t => t.Tenant)) is { } disabled)
                {
                    yield return disabled;
                }

                continue;
            }

            await foreach (
                var finding in ExamineAsync(
                        connection.Name,
                        standIns.Contains(connection.Name),
                        tenants,
                        planned,
                        examination,
                        ct
                    )
                    .ConfigureAwait(false)
            )
            {
                yield return examination.Mend && finding.CanBeMended
                    ? await mending.MendAsync(finding, ct).ConfigureAwait(false)
                    : finding;
            }
        }
    }

    private async IAsyncEnumerable<TenantFinding> ExamineAsync(
        string name,
        bool standsIn,
        IEnumerable<RegisteredTenant> tenants,
        IReadOnlyDictionary<TenantId, PlannedTenant> planned,
        TenantExamination examination,
        [EnumeratorCancellation] CancellationToken ct
    )
    {
        var worker = new WorkerConnection(sources, opening);
        await using var _ = worker.ConfigureAwait(false);
        IReadOnlyDictionary<string, SchemaListing>? schemas = null;
        TenantFinding? unreachable = null;
        try
        {
            var connection = await worker.OpenAsync(name, ct).ConfigureAwait(false);
            schemas = await SchemaListing.ReadAsync(connection, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is NeoCommonsException or NpgsqlException && !ct.IsCancellationRequested)
        {
            unreachable = new TenantFinding
            {
                Kind = TenantFindingKind.Unreachable,
                ConnectionName = name,
                Message = FailureText.Of(e),
                Remedy = "Mend the connection: 'connections test' says more.",
            };
        }

        if (schemas is null)
        {
            yield return unreachable!;
            yield break;
        }

        // What stands in for another connection has a copy of its tenants, and none of its own.
        foreach (
            var orphan in standsIn
                ? []
                : faults.Orphans(schemas, tenants.Select(t => t.Tenant.SchemaName).ToHashSet(StringComparer.Ordinal))
        )
        {
            var connection = await worker.OpenAsync(name, ct).ConfigureAwait(false);
            if (await again.IsNobodysAsync(connection, name, orphan, ct).ConfigureAwait(false))
            {
                yield return TenantFaults.Orphan(name, orphan);
            }
        }

        var expected = new Dictionary<string, ExpectedCatalog>(StringComparer.Ordinal);
        foreach (var (tenant, deletingSince, failure) in tenants)
        {
            var plan = planned.GetValueOrDefault(new TenantId(tenant.Id));
            var fault = deletingSince is { } since
                ? TenantFaults.HalfDeleted(name, tenant, since)
                : TenantFaults.Find(name, tenant, schemas, plan, failure);
            if (fault is null && examination.ComparesCatalogs && plan is { State: PlannedTenantState.UpToDate })
            {
                fault = await CompareAsync(worker, tenant, name, expected, ct).ConfigureAwait(false);
            }

            if (fault is null)
            {
                continue;
            }

            var connection = await worker.OpenAsync(name, ct).ConfigureAwait(false);
            if (await again.IsLeftAloneAsync(connection, tenant, ct).ConfigureAwait(false))
            {
                yield return fault;
            }
        }
    }

    private async Task<TenantFinding?> CompareAsync(
        WorkerConnection worker,
        TenantEntity tenant,
        string connectionName,
        Dictionary<string, ExpectedCatalog> expected,
        CancellationToken ct
    )
    {
        try
        {
            var connection = await worker.OpenAsync(connectionName, ct).ConfigureAwait(false);
            var own = scripts.IsNamed(tenant.TenantType) ? tenant.TenantType! : "";
            if (!expected.TryGetValue(own, out var catalog))
            {
                expected[own] = catalog = await ExpectedCatalog
                    .BuildAsync(connection, searchPath, scripts.For(tenant.TenantType), time, ct)
                    .ConfigureAwait(false);
            }

            var schema = SchemaName.Parse(tenant.SchemaName);
            var difference = await catalog.DifferenceAsync(connection, schema, ct).ConfigureAwait(false);
            return difference is null ? null : TenantFaults.Drift(connectionName, tenant, difference, null);
        }
        catch (Exception e) when (e is NeoCommonsException or NpgsqlException && !ct.IsCancellationRequested)
        {
            await worker.DisposeAsync().ConfigureAwait(false);
            return TenantFaults.Drift(connectionName, tenant, FailureText.Of(e), e);
        }
    }

    /// <summary>The tenants of each connection. Warm schemas are no tenants by name or mark.</summary>
    private async Task<ILookup<string, RegisteredTenant>> ReadRegistryAsync(
        string? connectionName,
        CancellationToken ct
    )
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var tenants = await context
            .Tenants.AsNoTracking()
            .Where(t => connectionName == null || t.Connection!.ConnectionName == connectionName)
            .OrderBy(t => t.Slug)
            .Select(t => new { Tenant = t, t.Connection!.ConnectionName })
            .ToListAsync(ct)
            .ConfigureAwait(false);
        var deleting = await TenantAudit.FindDeletingAsync(context, ct).ConfigureAwait(false);
        var newest = context.MigrationRuns.OrderByDescending(r => r.StartedAt).Take(1);
        var failures = await context
            .TenantMigrations.Where(m => m.State == TenantMigrationState.Failed)
            .Join(
                newest,
                m => m.RunId,
                r => r.Id,
                (m, r) =>
                    new
                    {
                        m.TenantId,
                        r.Target,
                        m.Error,
                    }
            )
            .ToDictionaryAsync(m => m.TenantId, m => new FailedMigration(m.Target, m.Error), ct)
            .ConfigureAwait(false);
        return tenants.ToLookup(
            t => t.ConnectionName,
            t => new RegisteredTenant(
                t.Tenant,
                deleting.TryGetValue(t.Tenant.Id, out var since) ? since : null,
                failures.GetValueOrDefault(t.Tenant.Id)
            ),
            StringComparer.Ordinal
        );
    }

    /// <param name="Tenant">The row.</param>
    /// <param name="DeletingSince">When its deletion was begun, where that has not ended.</param>
    /// <param name="Failure">That the newest run failed there, if it did.</param>
    private sealed record RegisteredTenant(
        TenantEntity Tenant,
        DateTimeOffset? DeletingSince,
        FailedMigration? Failure
    );
}
