using System.Runtime.CompilerServices;

namespace NeoCommons.EfCore;

/// <summary>The statements that bind a connection to one tenant's schema.</summary>
/// <remarks>
/// The path is the tenant's schema, the shared ones, and last <c>pg_temp</c>: PostgreSQL searches temporary tables first
/// unless the path names them, and one called like a tenant's table would hide it
/// (<see href="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH">search_path</see>).
/// </remarks>
internal sealed class SearchPath(ConnectionOptions options, SchemaNaming naming)
{
    // By the tenant's object, which lives as long as it is cached: no lease encodes a statement anew. Not by its schema:
    // a tenant in another database may have one of the same name, and has another role.
    // A table for each kind: most tenants have one binding.
    private readonly ConditionalWeakTable<Tenant, SessionBinding>[] _known =
    [
        [],
        [],
        [],
        [],
    ];

    private readonly SessionBinding[] _named =
    [
        SessionBinding.OfNames(role: null, isReadOnly: false, hasSession: true),
        SessionBinding.OfNames(role: null, isReadOnly: true, hasSession: true),
        SessionBinding.OfNames(role: null, isReadOnly: false, hasSession: false),
        SessionBinding.OfNames(role: null, isReadOnly: true, hasSession: false),
    ];

    private readonly string _rest =
        string.Concat(options.SharedSchemas.Select(s => ", " + SchemaName.Parse(s).Quoted)) + ", pg_temp";

    /// <summary>What takes a tenant off a session: the path that leads to no schema, and no role.</summary>
    public SessionBinding Nobody { get; } =
        SessionBinding.OfPath(
            SchemaName.Unbound,
            null,
            options.TenantRoles ? TenantRole.None : null,
            isReadOnly: false
        );

    /// <summary>The path that leads to the tenant's schema.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public SessionBinding To(Tenant tenant, bool readOnly = false) => Known(tenant, isNamed: false, readOnly);

    /// <summary>What binds a session in which each command names the tenant's schema.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <param name="pooler">What stands before the database.</param>
    /// <exception cref="TenantIsolationException">
    /// The schema is one that tenants share, or the tenant's role cannot be held.
    /// </exception>
    public SessionBinding Named(Tenant tenant, bool readOnly, PoolerMode pooler)
    {
        if (!options.TenantRoles && (pooler == PoolerMode.Transaction || TimeoutOf(tenant) is null))
        {
            ThrowIfShared(tenant.Schema);
            return _named[(readOnly ? 1 : 0) + (pooler == PoolerMode.Transaction ? 2 : 0)];
        }

        if (pooler == PoolerMode.Transaction)
        {
            throw new TenantIsolationException(
                $"NeoCommons:Connections:TenantRoles is on, and the transaction pooler of connection '{tenant.ConnectionName}' "
                    + "hands a session, role and all, from client to client. Either set TenantRoles to false, or connect "
                    + "to PostgreSQL itself, or to a pooler in session mode, with 'session' in the row's column pooler.",
                tenant.Id
            );
        }

        return Known(tenant, isNamed: true, readOnly);
    }

    /// <summary>The statement that binds a session of our own, which keeps the rights of the login role.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="inTransaction">Whether it is to end with the transaction that has begun.</param>
    /// <param name="isTemplate">Whether it is the schema that tenants are copied from, which no tenant has.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public string BindTo(SchemaName schema, bool inTransaction, bool isTemplate = false)
    {
        if (!isTemplate || schema.Value != naming.Template)
        {
            ThrowIfShared(schema);
        }

        return SessionBinding.OfPath(schema.Quoted, _rest, role: null, isReadOnly: false).Statement(inTransaction)!.Sql;
    }

    /// <summary>The statement that binds a session of our own to the schema of the shared contexts, to migrate it.</summary>
    /// <param name="inTransaction">Whether it is to end with the transaction that has begun.</param>
    public string BindToShared(bool inTransaction) =>
        SessionBinding
            .OfPath(SchemaName.Parse(naming.Shared).Quoted, _rest, role: null, isReadOnly: false)
            .Statement(inTransaction)!
            .Sql;

    private SessionBinding Known(Tenant tenant, bool isNamed, bool readOnly)
    {
        var known = _known[(isNamed ? 2 : 0) + (readOnly ? 1 : 0)];
        return known.TryGetValue(tenant, out var binding)
            ? binding
            : known.GetOrAdd(tenant, Make(tenant, isNamed, readOnly));
    }

    private SessionBinding Make(Tenant tenant, bool isNamed, bool readOnly)
    {
        ThrowIfShared(tenant.Schema);
        var role = options.TenantRoles ? TenantRole.Of(tenant.Id) : null;
        return isNamed
            ? SessionBinding.OfNames(role, readOnly, hasSession: true, TimeoutOf(tenant))
            : SessionBinding.OfPath(tenant.Schema.Quoted, _rest, role, readOnly, TimeoutOf(tenant));
    }

    private TimeSpan? TimeoutOf(Tenant tenant) =>
        tenant.Limits.StatementTimeout ?? options.Quotas.TenantStatementTimeout;

    private void ThrowIfShared(SchemaName schema)
    {
        if (naming.IsReserved(schema) || options.SharedSchemas.Contains(schema.Value))
        {
            throw new TenantIsolationException(
                $"Schema '{schema}' is shared, so it cannot be a tenant's own. Give the tenant another schema_name, or take "
                    + "the schema out of NeoCommons:Naming and NeoCommons:Connections:SharedSchemas."
            );
        }
    }
}
