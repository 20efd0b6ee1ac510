namespace NeoCommons.EfCore;

/// <summary>What ties a session to one tenant, and says whether it may write.</summary>
internal sealed class SessionBinding
{
    private const string ReadOnlyByDefault = "SET default_transaction_read_only = on";
    private const string ReadOnly = "SET LOCAL transaction_read_only = on";

    private readonly SessionStatement _session;
    private readonly SessionStatement _transaction;

    public SessionBinding(string path, bool isReadOnly)
    {
        IsReadOnly = isReadOnly;
        var session = new SessionStatement("SET search_path = " + path, 1);
        var transaction = new SessionStatement("SET LOCAL search_path = " + path, 1);
        _session = isReadOnly ? session.Then(new SessionStatement(ReadOnlyByDefault, 1)) : session;
        _transaction = isReadOnly ? transaction.Then(new SessionStatement(ReadOnly, 1)) : transaction;
    }

    public bool IsReadOnly { get; }

    /// <summary>The statement that binds.</summary>
    /// <param name="inTransaction">
    /// Whether the connection opens into a <c>TransactionScope</c>. The driver gives such a connection back to the pool
    /// without a reset, so what is set there must end with the transaction; and <c>default_transaction_read_only</c> would
    /// come too late for a transaction that has begun.
    /// </param>
    public SessionStatement Statement(bool inTransaction) => inTransaction ? _transaction : _session;
}
