namespace NeoCommons.EfCore;

/// <summary>What ties a session to one tenant, and says whether it may write.</summary>
internal sealed class SessionBinding
{
    private const string ReadOnlyByDefault = "SET default_transaction_read_only = on";
    private const string ReadOnly = "SET LOCAL transaction_read_only = on";

    private readonly SessionStatement? _session;
    private readonly SessionStatement _transaction;

    private SessionBinding(string? path, string pathInTransaction, bool isReadOnly, bool hasSession)
    {
        IsReadOnly = isReadOnly;
        LeadsToTenant = path is not null;
        _session = Join(
            path is null ? null : "SET search_path = " + path,
            isReadOnly && hasSession ? ReadOnlyByDefault : null
        );
        _transaction = Join("SET LOCAL search_path = " + pathInTransaction, isReadOnly ? ReadOnly : null)!;
        Prefix = hasSession ? null : _transaction.Sql + "; ";
    }

    public bool IsReadOnly { get; }

    /// <summary>Whether unqualified names find the tenant's tables.</summary>
    public bool LeadsToTenant { get; }

    /// <summary>
    /// Where no session can be relied on: what stands before a command whose SQL is not EF's own, so that it finds nothing
    /// by an unqualified name, and writes nothing where it must not. The driver sends it in one transaction with it.
    /// </summary>
    public string? Prefix { get; }

    /// <summary>The session's path is the tenant's.</summary>
    public static SessionBinding OfPath(string path, bool isReadOnly) => new(path, path, isReadOnly, hasSession: true);

    /// <summary>Each command names the tenant's schema; an unqualified name finds nothing.</summary>
    /// <param name="isReadOnly">Whether nothing may be written.</param>
    /// <param name="hasSession">Whether the session is the lease's own, and not one of a transaction pooler.</param>
    public static SessionBinding OfNames(bool isReadOnly, bool hasSession) =>
        new(null, SchemaName.Unbound, isReadOnly, hasSession);

    /// <summary>The statement that binds, if it takes one.</summary>
    /// <param name="inTransaction">
    /// Whether the connection opens into a <c>TransactionScope</c>. The driver gives such a connection back to the pool
    /// without a reset, so what is set there must end with the transaction; and <c>default_transaction_read_only</c> would
    /// come too late for a transaction that has begun.
    /// </param>
    public SessionStatement? Statement(bool inTransaction) => inTransaction ? _transaction : _session;

    private static SessionStatement? Join(string? first, string? second)
    {
        var next = second is null ? null : new SessionStatement(second, 1);
        return first is null ? next : new SessionStatement(first, 1).Then(next);
    }
}
