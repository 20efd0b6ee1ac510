namespace NeoCommons.EfCore;

/// <summary>What ties a session to one tenant, and says whether it may write.</summary>
internal sealed class SessionBinding
{
    private const string Path = "search_path = ";
    private const string Role = "ROLE ";
    private const string ReadOnlyByDefault = "SET default_transaction_read_only = on";
    private const string ReadOnly = "SET LOCAL transaction_read_only = on";

    private readonly SessionStatement? _session;
    private readonly SessionStatement _transaction;

    private SessionBinding(string? path, string? role, bool isReadOnly, bool hasSession, TimeSpan? timeout)
    {
        IsReadOnly = isReadOnly;
        HasTimeout = hasSession && timeout is not null;
        StaysInSession = path is not null || role is not null;

        // Where names bind, an earlier lease's path may still be there: whatever is said of the session takes it off.
        var hasBind = StaysInSession || (isReadOnly && hasSession);
        _session = Join(
            hasBind ? "SET " + Path + (path ?? SchemaName.Unbound) : null,
            role is null ? null : "SET " + Role + role,
            isReadOnly && hasSession ? ReadOnlyByDefault : null
        );
        if (HasTimeout)
        {
            var set = new SessionStatement(TextOf(timeout), 1, hasTimeout: true);
            _session = _session?.Then(set) ?? set;
        }

        _transaction = Join(
            "SET LOCAL " + Path + (path ?? SchemaName.Unbound),
            role is null ? null : "SET LOCAL " + Role + role,
            isReadOnly ? ReadOnly : null,
            HasTimeout ? TextOf(timeout, "LOCAL ") : null
        )!;
        Prefix = hasSession ? null : _transaction.Sql + "; ";
    }

    public bool IsReadOnly { get; }

    /// <summary>Whether statements of the session end after a time; what sets it stays in the session.</summary>
    public bool HasTimeout { get; }

    /// <summary>
    /// Whether a lease leaves its path or its role in the session. Any other tenant's lease sets its own in their place; a
    /// session that is used for nobody must be reset.
    /// </summary>
    public bool StaysInSession { get; }

    /// <summary>
    /// Where no session can be relied on: what stands before a command whose SQL is not EF's own, so that it finds nothing
    /// by an unqualified name, and writes nothing where it must not. The driver sends it in one transaction with it.
    /// </summary>
    public string? Prefix { get; }

    /// <summary>The session's path is the tenant's.</summary>
    /// <param name="path">The path.</param>
    /// <param name="role">The tenant's role, if it has one.</param>
    /// <param name="isReadOnly">Whether nothing may be written.</param>
    /// <param name="timeout">How long a statement may run; null: as the server says.</param>
    public static SessionBinding OfPath(string path, string? role, bool isReadOnly, TimeSpan? timeout = null) =>
        new(path, role, isReadOnly, hasSession: true, timeout);

    /// <summary>Each command names the tenant's schema; an unqualified name finds nothing.</summary>
    /// <param name="role">The tenant's role, if it has one; it takes a session of the lease's own.</param>
    /// <param name="isReadOnly">Whether nothing may be written.</param>
    /// <param name="hasSession">Whether the session is the lease's own, and not one of a transaction pooler.</param>
    /// <param name="timeout">How long a statement may run, where there is a session to hold it; null: as the server says.</param>
    public static SessionBinding OfNames(string? role, bool isReadOnly, bool hasSession, TimeSpan? timeout = null) =>
        new(null, role, isReadOnly, hasSession, timeout);

    /// <summary>The statement that binds, if it takes one.</summary>
    /// <param name="inTransaction">
    /// Whether the connection opens into a <c>TransactionScope</c>. The driver gives such a connection back to the pool
    /// without a reset, so what is set there must end with the transaction; and <c>default_transaction_read_only</c> would
    /// come too late for a transaction that has begun.
    /// </param>
    public SessionStatement? Statement(bool inTransaction) => inTransaction ? _transaction : _session;

    private static string TextOf(TimeSpan? timeout, string scope = "") =>
        string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"SET {scope}statement_timeout = {Math.Ceiling(timeout!.Value.TotalMilliseconds)}"
        );

    private static SessionStatement? Join(params ReadOnlySpan<string?> parts)
    {
        SessionStatement? all = null;
        foreach (var part in parts)
        {
            if (part is not null)
            {
                var next = new SessionStatement(part, 1);
                all = all is null ? next : all.Then(next);
            }
        }

        return all;
    }
}
