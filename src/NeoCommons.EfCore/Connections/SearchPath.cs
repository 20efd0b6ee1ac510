namespace NeoCommons.EfCore;

/// <summary>The statement that binds a connection to one tenant's schema.</summary>
/// <remarks>
/// The path is the tenant's schema, the shared ones, and last <c>pg_temp</c>: PostgreSQL searches temporary tables first
/// unless the path names them, and one called like a tenant's table would hide it
/// (<see href="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH">search_path</see>).
/// </remarks>
internal sealed class SearchPath(ConnectionOptions options)
{
    private readonly string _rest =
        string.Concat(options.SharedSchemas.Select(s => ", " + SchemaName.Parse(s).Quoted)) + ", pg_temp";

    /// <summary>The statement that leads to no schema, as sessions begin.</summary>
    public string BindToNobody => $"SET search_path = {SchemaName.Unbound}";

    /// <summary>The statement that leads to the tenant's schema.</summary>
    /// <param name="schema">The tenant's schema.</param>
    /// <param name="readOnly">Whether the session is to refuse writes; the pool's reset ends that, as it ends the path.</param>
    public string BindTo(SchemaName schema, bool readOnly = false) =>
        string.Concat(
            "SET search_path = ",
            schema.Quoted,
            _rest,
            readOnly ? "; SET default_transaction_read_only = on" : null
        );
}
