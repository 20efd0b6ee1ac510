namespace NeoCommons.EfCore;

/// <summary>How a context reaches its tenant's schema, and no other.</summary>
public enum SchemaBinding
{
    /// <summary>
    /// The default: the session's <c>search_path</c> is the tenant's schema. It holds for everything on the connection, raw
    /// SQL, Dapper and COPY too. Needs a session, so a direct connection or a pooler in session mode.
    /// </summary>
    SearchPath,

    /// <summary>
    /// Each command names the schema. Needs no session state, so it works behind a pooler in transaction mode too, and hot
    /// tenants can keep prepared plans (<see cref="ConnectionOptions.MaxPreparedStatements"/>).
    /// </summary>
    /// <remarks>
    /// Raw SQL must name the schema itself: what it does not qualify is not found. In SQL that EF executes, write
    /// <c>"$tenant"</c> for it, as in <c>SELECT * FROM "$tenant"."Products"</c>, and it becomes the tenant's schema wherever a
    /// dot follows, but never in a string, a comment or a longer name; for SQL that somebody else executes, see
    /// <c>Database.ToTenantSql</c> and <c>Database.GetTenantSchema</c>. Types and operators are not qualified: those of an
    /// extension must lie in <c>pg_catalog</c>, or be mapped with the schema that they lie in.
    /// </remarks>
    QualifiedNames,
}
