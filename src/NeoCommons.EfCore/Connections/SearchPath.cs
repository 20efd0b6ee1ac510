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
    // By the name's object, which lives as long as its tenant is cached: no lease encodes a statement anew.
    private readonly ConditionalWeakTable<SchemaName, SessionBinding> _writing = [];
    private readonly ConditionalWeakTable<SchemaName, SessionBinding> _reading = [];

    private readonly SessionBinding[] _named =
    [
        SessionBinding.OfNames(isReadOnly: false, hasSession: true),
        SessionBinding.OfNames(isReadOnly: true, hasSession: true),
        SessionBinding.OfNames(isReadOnly: false, hasSession: false),
        SessionBinding.OfNames(isReadOnly: true, hasSession: false),
    ];

    private readonly string _rest =
        string.Concat(options.SharedSchemas.Select(s => ", " + SchemaName.Parse(s).Quoted)) + ", pg_temp";

    /// <summary>The path that leads to no schema, as sessions begin.</summary>
    public SessionBinding Nobody { get; } = SessionBinding.OfPath(SchemaName.Unbound, isReadOnly: false);

    /// <summary>The path that leads to the tenant's schema.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public SessionBinding To(SchemaName schema, bool readOnly = false) =>
        (readOnly ? _reading : _writing).TryGetValue(schema, out var known) ? known : Make(schema, readOnly);

    /// <summary>What binds a session in which each command names the tenant's schema.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <param name="pooler">What stands before the database.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public SessionBinding Named(SchemaName schema, bool readOnly, PoolerMode pooler)
    {
        ThrowIfShared(schema);
        return _named[(readOnly ? 1 : 0) + (pooler == PoolerMode.Transaction ? 2 : 0)];
    }

    /// <summary>The statement that binds a session of our own, outside of any transaction of the caller's.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="inTransaction">Whether it is to end with the transaction that has begun.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public string BindTo(SchemaName schema, bool inTransaction) => To(schema).Statement(inTransaction)!.Sql;

    private SessionBinding Make(SchemaName schema, bool readOnly)
    {
        ThrowIfShared(schema);
        var binding = SessionBinding.OfPath(schema.Quoted + _rest, readOnly);
        (readOnly ? _reading : _writing).TryAdd(schema, binding);
        return binding;
    }

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
