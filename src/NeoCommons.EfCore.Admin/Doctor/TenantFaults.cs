using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Findings from what the registry, the plan and a database's list of schemas say.</summary>
internal sealed class TenantFaults(IOptions<SchemaNaming> naming)
{
    private const int Shown = 5;

    /// <summary>The schemas that are a tenant's by their mark or name, and that no row has.</summary>
    public IEnumerable<SchemaListing> Orphans(
        IReadOnlyDictionary<string, SchemaListing> schemas,
        IReadOnlySet<string> known
    ) =>
        schemas
            .Values.Where(s => !known.Contains(s.Name) && (s.IsMarked || naming.Value.IsOfTenant(s.Name)))
            .OrderBy(s => s.Name, StringComparer.Ordinal);

    public static TenantFinding Orphan(string connectionName, SchemaListing schema) =>
        new()
        {
            Kind = TenantFindingKind.OrphanSchema,
            ConnectionName = connectionName,
            Schema = schema.Name,
            Message =
                $"Schema '{schema.Name}' is a tenant's by its {(schema.IsMarked ? "comment" : "name")}, and no tenant of this connection has it"
                + (schema.IsEmpty ? "; it is empty." : "."),
            Remedy =
                schema.IsMarked && schema.IsEmpty
                    ? "It can be dropped."
                    : "Look into it: of a tenant that was moved, this is what was left. Drop it, or insert its tenant into admin.tenants.",
            CanBeMended = schema is { IsMarked: true, IsEmpty: true, Foreign: null },
        };

    /// <summary>That nobody has looked at the tenants of a connection that is switched off; null where it has none.</summary>
    public static TenantFinding? Disabled(string connectionName, IEnumerable<TenantEntity> tenants)
    {
        var slugs = tenants.Where(t => t.Status != TenantStatus.Archived).Select(t => t.Slug).ToList();
        return slugs.Count == 0
            ? null
            : new TenantFinding
            {
                Kind = TenantFindingKind.Unreachable,
                ConnectionName = connectionName,
                Message =
                    $"The connection is disabled, and no context of its tenants can be used: {string.Join(", ", slugs.Take(Shown))}"
                    + (slugs.Count > Shown ? $" and {slugs.Count - Shown} more." : "."),
                Remedy = $"Archive or move its tenants, or switch it on: connections enable {connectionName}",
            };
    }

    /// <summary>That a deletion has begun and not ended.</summary>
    public static TenantFinding HalfDeleted(string connectionName, TenantEntity tenant, DateTimeOffset since) =>
        Of(
            TenantFindingKind.HalfDeleted,
            connectionName,
            tenant,
            $"Its deletion was begun at {since:u} and interrupted: what is left of its schema is of no use, and nobody is at it.",
            $"Repeat it: tenants delete {tenant.Slug} --confirm {tenant.Slug}"
        );

    /// <summary>What is wrong with a tenant; null where its catalog is to be compared.</summary>
    /// <param name="connectionName">Its connection.</param>
    /// <param name="tenant">Its row.</param>
    /// <param name="schemas">What is there.</param>
    /// <param name="plan">What it lacks.</param>
    /// <param name="failure">That the newest run failed there, if it did.</param>
    public static TenantFinding? Find(
        string connectionName,
        TenantEntity tenant,
        IReadOnlyDictionary<string, SchemaListing> schemas,
        PlannedTenant? plan,
        FailedMigration? failure
    )
    {
        if (tenant.Status == TenantStatus.Provisioning)
        {
            return Of(
                TenantFindingKind.HalfMade,
                connectionName,
                tenant,
                $"Its creation was interrupted: it was begun, or tried again, at {tenant.UpdatedAt:u}, and nobody is at it.",
                $"Create it again: tenants create {tenant.Slug} --connection {connectionName}",
                canBeMended: true
            );
        }

        if (!schemas.TryGetValue(tenant.SchemaName, out var schema))
        {
            var own = schemas.Values.FirstOrDefault(s => s.Owner is { } owner && owner.Value == tenant.Id);
            return Of(
                TenantFindingKind.MissingSchema,
                connectionName,
                tenant,
                $"Schema '{tenant.SchemaName}' does not exist there"
                    + (
                        own is null
                            ? "."
                            : $"; schema '{own.Name}' is the tenant's by its comment: a change was interrupted."
                    ),
                own is null
                    ? "Restore it from a backup, or correct schema_name or connection_id in admin.tenants."
                    : "Repeat the command that was interrupted: rename, archive or restore."
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

        // What it was to reach then, it may have reached since.
        var why = string.CompareOrdinal(plan?.Version, failure?.Target) < 0 ? failure?.Error : null;
        return plan switch
        {
            { State: PlannedTenantState.Unknown, Error: { } error } => Of(
                TenantFindingKind.Behind,
                connectionName,
                tenant,
                $"What it lacks cannot be told: {FailureText.Of(error)}",
                "Mend what the message says."
            ),
            { State: PlannedTenantState.Pending } => Of(
                TenantFindingKind.Behind,
                connectionName,
                tenant,
                $"{plan.PendingMigrations} pending {(plan.PendingMigrations == 1 ? "migration" : "migrations")}; it is at {plan.Version ?? "none"}."
                    + (why is null ? "" : $" The newest run failed there: {why}"),
                (why is null ? "" : "Mend what the message says; then: ") + $"tenants migrate {tenant.Slug}",
                canBeMended: true
            ),
            _ => null,
        };
    }

    /// <summary>That its catalog differs, or could not be compared.</summary>
    public static TenantFinding Drift(
        string connectionName,
        TenantEntity tenant,
        string difference,
        Exception? cause
    ) =>
        cause is null
            ? Of(
                TenantFindingKind.Drift,
                connectionName,
                tenant,
                difference,
                "Undo by hand what was done by hand, or put it into a migration."
            )
            : Of(
                TenantFindingKind.Unreachable,
                connectionName,
                tenant,
                difference,
                "Its catalog was not compared: mend what the message says, or leave this out with --quick."
            );

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
