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

    private readonly string _rest =
        string.Concat(options.SharedSchemas.Select(s => ", " + SchemaName.Parse(s).Quoted)) + ", pg_temp";

    /// <summary>The path that leads to no schema, as sessions begin.</summary>
    public SessionBinding Nobody { get; } = new(SchemaName.Unbound, isReadOnly: false);

    /// <summary>The path that leads to the tenant's schema.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public SessionBinding To(SchemaName schema, bool readOnly = false) =>
        (readOnly ? _reading : _writing).TryGetValue(schema, out var known) ? known : Make(schema, readOnly);

    /// <summary>The statement that binds a session of our own, outside of any transaction of the caller's.</summary>
    /// <inheritdoc cref="To"/>
    public string BindTo(SchemaName schema) => To(schema).Statement(inTransaction: false).Sql;

    private SessionBinding Make(SchemaName schema, bool readOnly)
    {
        if (naming.IsReserved(schema) || options.SharedSchemas.Contains(schema.Value))
        {
            throw new TenantIsolationException(
                $"Schema '{schema}' is shared, so it cannot be a tenant's own. Give the tenant another schema_name, or take "
                    + "the schema out of NeoCommons:Naming and NeoCommons:Connections:SharedSchemas."
            );
        }

        var binding = new SessionBinding(schema.Quoted + _rest, readOnly);
        (readOnly ? _reading : _writing).TryAdd(schema, binding);
        return binding;
    }
}
