using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Admin;

/// <summary>Finds the tenants that have something to do: one query per database.</summary>
internal sealed class FleetPlanning(
    ITenantStore tenants,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    ConnectionOpening opening
)
{
    private const int DatabasesAtATime = 8;

    /// <param name="connectionName">Only the tenants behind this connection; null: all.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<FleetPlan> PlanAsync(string? connectionName, CancellationToken ct)
    {
        // What is wrong with the migrations themselves is wrong for every tenant: say it once, before the first.
        var all = scripts.All;

        // Tenants of different types may have different contexts.
        var databases = new Dictionary<(string Connection, string? Type), List<Tenant>>();
        await foreach (var tenant in tenants.ListAsync(ct).ConfigureAwait(false))
        {
            if (
                tenant.Status is TenantStatus.Active or TenantStatus.Suspended
                && (connectionName ?? tenant.ConnectionName) == tenant.ConnectionName
            )
            {
                var key = (tenant.ConnectionName, scripts.IsOwnType(tenant) ? tenant.TenantType : null);
                if (!databases.TryGetValue(key, out var there))
                {
                    databases[key] = there = [];
                }

                there.Add(tenant);
            }
        }

        var planned = new ConcurrentBag<IReadOnlyList<PlannedTenant>>();
        await Parallel
            .ForEachAsync(
                databases,
                new ParallelOptions { MaxDegreeOfParallelism = DatabasesAtATime, CancellationToken = ct },
                async (database, token) =>
                    planned.Add(
                        await PlanAsync(database.Key.Connection, database.Value, scripts.For(database.Key.Type), token)
                            .ConfigureAwait(false)
                    )
            )
            .ConfigureAwait(false);
        return new FleetPlan
        {
            Target = all.SelectMany(s => s.Steps).Select(s => s.Id).Max(StringComparer.Ordinal),
            Migrations =
            [
                .. all.SelectMany(s => s.Steps.Select(step => $"{s.History.Table} {step.Id}"))
                    .Order(StringComparer.Ordinal),
            ],
            Tenants = [.. planned.SelectMany(p => p).OrderBy(t => t.Slug, StringComparer.Ordinal)],
        };
    }

    private async Task<IReadOnlyList<PlannedTenant>> PlanAsync(
        string connectionName,
        List<Tenant> there,
        IReadOnlyList<MigrationScript> all,
        CancellationToken ct
    )
    {
        try
        {
            var states = await FindAsync(connectionName, [.. there.Select(t => t.Schema)], all, ct)
                .ConfigureAwait(false);
            return [.. there.Zip(states, Describe)];
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            return [.. there.Select(t => Unknown(t, e))];
        }
    }

    private async Task<IReadOnlyList<SchemaState>> FindAsync(
        string connectionName,
        IReadOnlyCollection<SchemaName> schemas,
        IReadOnlyList<MigrationScript> all,
        CancellationToken ct
    )
    {
        var worker = new WorkerConnection(sources, opening);
        await using var _ = worker.ConfigureAwait(false);
        var connection = await worker.OpenAsync(connectionName, ct).ConfigureAwait(false);
        return await PendingTenants.FindAsync(connection, schemas, all, ct).ConfigureAwait(false);
    }

    private static PlannedTenant Describe(Tenant tenant, SchemaState state) =>
        state.Fault is { } fault ? Unknown(tenant, fault)
        : state.Exists
            ? new PlannedTenant
            {
                TenantId = tenant.Id,
                Slug = tenant.Slug,
                ConnectionName = tenant.ConnectionName,
                State =
                    state.IsAhead ? PlannedTenantState.Ahead
                    : state.Pending > 0 ? PlannedTenantState.Pending
                    : PlannedTenantState.UpToDate,
                Version = state.Version,
                PendingMigrations = state.Pending,
                RegisteredVersion = tenant.SchemaVersion,
            }
        : Unknown(
            tenant,
            SchemaMigration.NoSchema(tenant.Schema, $"behind connection '{tenant.ConnectionName}'", null)
        );

    private static PlannedTenant Unknown(Tenant tenant, Exception e) =>
        new()
        {
            TenantId = tenant.Id,
            Slug = tenant.Slug,
            ConnectionName = tenant.ConnectionName,
            State = PlannedTenantState.Unknown,
            Version = tenant.SchemaVersion,
            RegisteredVersion = tenant.SchemaVersion,
            Error = e,
        };
}
