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
    /// Each command names the schema. Needs no session state, so it works behind a pooler in transaction mode. Raw SQL must
    /// name the schema itself: what it does not qualify is not found.
    /// </summary>
    QualifiedNames,
}
