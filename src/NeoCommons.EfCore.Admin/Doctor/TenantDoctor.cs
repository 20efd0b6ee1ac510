using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantDoctor(
    IDbContextFactory<AdminDbContext> contexts,
    IConnectionRegistry connections,
    TenantDataSources sources,
    TenantMigrationScripts scripts,
    FleetPlanning planning,
    SearchPath searchPath,
    ConnectionOpening opening,
    DoctorMending mending,
    IOptions<SchemaNaming> naming,
    TimeProvider time
) : ITenantDoctor
{
    // A creation that has just begun is not half-made yet.
    private static readonly TimeSpan Interrupted = TimeSpan.FromMinutes(1);

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

        var plan = await planning.PlanAsync(examination.ConnectionName, ct).ConfigureAwait(false);
        var planned = plan.Tenants.ToDictionary(t => t.TenantId);
        foreach (var connection in all)
        {
            if (!connection.IsActive || (examination.ConnectionName ?? connection.Name) != connection.Name)
            {
                continue;
            }

            await foreach (var finding in ExamineAsync(connection.Name, planned, examination, ct).ConfigureAwait(false))
            {
                yield return examination.Mend && finding.CanBeMended
                    ? await mending.MendAsync(finding, ct).ConfigureAwait(false)
                    : finding;
            }
        }
    }

    private async IAsyncEnumerable<TenantFinding> ExamineAsync(
        string name,
        IReadOnlyDictionary<TenantId, PlannedTenant> planned,
        TenantExamination examination,
        [EnumeratorCancellation] CancellationToken ct
    )
    {
        var (tenants, warm) = await ReadRegistryAsync(name, ct).ConfigureAwait(false);
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

        foreach (
            var orphan in Orphans(
                name,
                schemas,
                tenants.Select(t => t.SchemaName).Concat(warm).ToHashSet(StringComparer.Ordinal)
            )
        )
        {
            yield return orphan;
        }

        var expected = new Dictionary<string, ExpectedCatalog>(StringComparer.Ordinal);
        foreach (var tenant in tenants)
        {
            if (FindFault(name, tenant, schemas, planned) is { } fault)
            {
                yield return fault;
            }
            else if (
                examination.ComparesCatalogs
                && planned.GetValueOrDefault(new TenantId(tenant.Id))?.State == PlannedTenantState.UpToDate
            )
            {
                var (difference, cause) = await CompareAsync(worker, tenant, name, expected, ct).ConfigureAwait(false);
                if (difference is not null)
                {
                    yield return Of(
                        cause is null ? TenantFindingKind.Drift : TenantFindingKind.Unreachable,
                        name,
                        tenant,
                        difference,
                        cause is null
                            ? "Undo by hand what was done by hand, or put it into a migration."
                            : "Its catalog was not compared: mend what the message says, or leave this out with --quick."
                    );
                }
            }
        }
    }

    private async Task<(string? Difference, Exception? Cause)> CompareAsync(
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
            return (await catalog.DifferenceAsync(connection, schema, ct).ConfigureAwait(false), null);
        }
        catch (Exception e) when (e is NeoCommonsException or NpgsqlException && !ct.IsCancellationRequested)
        {
            await worker.DisposeAsync().ConfigureAwait(false);
            return (FailureText.Of(e), e);
        }
    }

    private async Task<(IReadOnlyList<TenantEntity> Tenants, IReadOnlyList<string> Warm)> ReadRegistryAsync(
        string connectionName,
        CancellationToken ct
    )
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var tenants = await context
            .Tenants.AsNoTracking()
            .Where(t => t.Connection!.ConnectionName == connectionName)
            .OrderBy(t => t.Slug)
            .ToListAsync(ct)
            .ConfigureAwait(false);
        var warm = await context
            .WarmSchemas.Where(s => s.Connection!.ConnectionName == connectionName)
            .Select(s => s.SchemaName)
            .ToListAsync(ct)
            .ConfigureAwait(false);
        return (tenants, warm);
    }

    private IEnumerable<TenantFinding> Orphans(
        string connectionName,
        IReadOnlyDictionary<string, SchemaListing> schemas,
        IReadOnlySet<string> known
    )
    {
        foreach (var schema in schemas.Values.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            if (known.Contains(schema.Name) || !(schema.IsMarked || naming.Value.IsOfTenant(schema.Name)))
            {
                continue;
            }

            yield return new TenantFinding
            {
                Kind = TenantFindingKind.OrphanSchema,
                ConnectionName = connectionName,
                Schema = schema.Name,
                Message =
                    $"Schema '{schema.Name}' is a tenant's by its {(schema.IsMarked ? "comment" : "name")}, and no tenant has it"
                    + (schema.IsEmpty ? "; it is empty." : "."),
                Remedy =
                    schema.IsMarked && schema.IsEmpty
                        ? "It can be dropped."
                        : "Look into it; then drop it, or insert its tenant into admin.tenants.",
                CanBeMended = schema is { IsMarked: true, IsEmpty: true, Foreign: null },
            };
        }
    }

    private TenantFinding? FindFault(
        string connectionName,
        TenantEntity tenant,
        IReadOnlyDictionary<string, SchemaListing> schemas,
        IReadOnlyDictionary<TenantId, PlannedTenant> planned
    )
    {
        if (tenant.Status == TenantStatus.Provisioning)
        {
            return time.GetUtcNow() - tenant.UpdatedAt < Interrupted
                ? null
                : Of(
                    TenantFindingKind.HalfMade,
                    connectionName,
                    tenant,
                    $"Its creation was interrupted at {tenant.UpdatedAt:u}.",
                    $"Create it again: tenants create {tenant.Slug} --connection {connectionName}",
                    canBeMended: true
                );
        }

        if (!schemas.TryGetValue(tenant.SchemaName, out var schema))
        {
            return Of(
                TenantFindingKind.MissingSchema,
                connectionName,
                tenant,
                $"Schema '{tenant.SchemaName}' does not exist there.",
                "Restore it from a backup, or correct schema_name or connection_id in admin.tenants."
            );
        }

        if (schema.Foreign is { } foreign)
        {
            return Of(
                TenantFindingKind.WrongOwner,
                connectionName,
                tenant,
                $"In schema '{tenant.SchemaName}', {foreign}.",
                "Let a superuser give it to the connection's user: ALTER ... OWNER TO, or REASSIGN OWNED."
            );
        }

        var plan = planned.GetValueOrDefault(new TenantId(tenant.Id));
        if (plan is { State: PlannedTenantState.Unknown, Error: { } error })
        {
            return Of(
                TenantFindingKind.Behind,
                connectionName,
                tenant,
                $"What it lacks cannot be told: {FailureText.Of(error)}",
                "Mend what the message says."
            );
        }

        return plan is { State: PlannedTenantState.Pending } behind
            ? Of(
                TenantFindingKind.Behind,
                connectionName,
                tenant,
                $"{behind.PendingMigrations} migrations are pending; it is at {behind.Version ?? "none"}.",
                $"tenants migrate {tenant.Slug}",
                canBeMended: true
            )
            : null;
    }

    private static TenantFinding Of(
        TenantFindingKind kind,
        string connectionName,
        TenantEntity tenant,
        string message,
        string remedy,
        bool canBeMended = false
    ) =>
        new()
        {
            Kind = kind,
            ConnectionName = connectionName,
            Slug = tenant.Slug,
            Schema = tenant.SchemaName,
            Message = message,
            Remedy = remedy,
            CanBeMended = canBeMended,
        };
}
