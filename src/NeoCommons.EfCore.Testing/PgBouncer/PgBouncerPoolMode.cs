namespace NeoCommons.EfCore.Testing;

/// <summary>When PgBouncer gives a server connection to another client.</summary>
public enum PgBouncerPoolMode
{
    /// <summary>When the client disconnects: session state is the client's own.</summary>
    Session,

    /// <summary>After each transaction: a <c>SET</c> of one client is seen by the next.</summary>
    Transaction,
}
