namespace NeoCommons.EfCore;

/// <summary>The statements that bind a connection to one tenant's schema.</summary>
/// <remarks>
/// The path is the tenant's schema, the shared ones, and last <c>pg_temp</c>: PostgreSQL searches temporary tables first
/// unless the path names them, and one called like a tenant's table would hide it
/// (<see href="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH">search_path</see>).
/// </remarks>
internal sealed class SearchPath(ConnectionOptions options, SchemaNaming naming)
{
    private readonly string _rest =
        string.Concat(options.SharedSchemas.Select(s => ", " + SchemaName.Parse(s).Quoted)) + ", pg_temp";

    /// <summary>The path that leads to no schema, as sessions begin.</summary>
    public SearchPathBinding Nobody { get; } = new(SchemaName.Unbound, IsReadOnly: false);

    /// <summary>The path that leads to the tenant's schema.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="readOnly">Whether the session is to refuse writes.</param>
    /// <exception cref="TenantIsolationException">The schema is one that tenants share.</exception>
    public SearchPathBinding To(SchemaName schema, bool readOnly = false)
    {
        if (naming.IsReserved(schema) || options.SharedSchemas.Contains(schema.Value))
        {
            throw new TenantIsolationException(
                $"Schema '{schema}' is shared, so it cannot be a tenant's own. Give the tenant another schema_name, or take "
                    + "the schema out of NeoCommons:Naming and NeoCommons:Connections:SharedSchemas."
            );
        }

        return new SearchPathBinding(schema.Quoted + _rest, readOnly);
    }

    /// <summary>The statement that binds a session of our own, outside of any transaction of the caller's.</summary>
    /// <inheritdoc cref="To"/>
    public string BindTo(SchemaName schema) => To(schema).Sql(inTransaction: false);
}
