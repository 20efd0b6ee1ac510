namespace NeoCommons.EfCore;

/// <summary>The connection pooler that stands before a database, as its administrator declares it.</summary>
public enum PoolerMode
{
    /// <summary>None: clients talk to PostgreSQL itself.</summary>
    None,

    /// <summary>A pooler that gives a client one server connection for the whole session.</summary>
    Session,

    /// <summary>A pooler that gives a client a server connection per transaction, and drops session state between them.</summary>
    Transaction,
}
