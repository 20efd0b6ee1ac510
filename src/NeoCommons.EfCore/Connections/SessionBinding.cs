namespace NeoCommons.EfCore;

/// <summary>What ties a session to one tenant, and says whether it may write.</summary>
internal sealed class SessionBinding
{
    private const string Path = "search_path = ";
    private const string Role = "ROLE ";
    private const string ReadOnlyByDefault = "SET default_transaction_read_only = on";
    private const string ReadOnly = "SET LOCAL transaction_read_only = on";

    private readonly string? _path;
    private readonly string? _rest;
    private readonly string? _role;
    private readonly TimeSpan? _timeout;
    private readonly SessionStatement? _session;

    // Made when it is asked for: few open within a transaction.
    private SessionStatement? _transaction;

    private SessionBinding(
        string? path,
        string? rest,
        string? role,
        bool isReadOnly,
        bool hasSession,
        TimeSpan? timeout
    )
    {
        (_path, _rest, _role, _timeout) = (path, rest, role, timeout);
        IsReadOnly = isReadOnly;
        HasTimeout = hasSession && timeout is not null;
        StaysInSession = path is not null || role is not null;

        // Where names bind, an earlier lease's path may still be there: whatever is said of the session takes it off.
        var hasBind = StaysInSession || (isReadOnly && hasSession);
        _session = Join(
            hasBind ? "SET " + TextOfPath : null,
            role is null ? null : "SET " + Role + role,
            isReadOnly && hasSession ? ReadOnlyByDefault : null
        );
        if (HasTimeout)
        {
            var set = new SessionStatement(TextOf(timeout), 1, hasTimeout: true);
            _session = _session?.Then(set) ?? set;
        }

        Prefix = hasSession ? null : Transaction.Sql + "; ";
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

    private SessionStatement Transaction =>
        _transaction ??= Join(
            "SET LOCAL " + TextOfPath,
            _role is null ? null : "SET LOCAL " + Role + _role,
            IsReadOnly ? ReadOnly : null,
            HasTimeout ? TextOf(_timeout, "LOCAL ") : null
        )!;

    private string TextOfPath => Path + (_path ?? SchemaName.Unbound) + _rest;

    /// <summary>The session's path is the tenant's.</summary>
    /// <param name="path">The path, or what it begins with.</param>
    /// <param name="rest">The rest of it; kept apart, since it is the same for all tenants.</param>
    /// <param name="role">The tenant's role, if it has one.</param>
    /// <param name="isReadOnly">Whether nothing may be written.</param>
    /// <param name="timeout">How long a statement may run; null: as the server says.</param>
    public static SessionBinding OfPath(
        string path,
        string? rest,
        string? role,
        bool isReadOnly,
        TimeSpan? timeout = null
    ) => new(path, rest, role, isReadOnly, hasSession: true, timeout);

    /// <summary>Each command names the tenant's schema; an unqualified name finds nothing.</summary>
    /// <param name="role">The tenant's role, if it has one; it takes a session of the lease's own.</param>
    /// <param name="isReadOnly">Whether nothing may be written.</param>
    /// <param name="hasSession">Whether the session is the lease's own, and not one of a transaction pooler.</param>
    /// <param name="timeout">How long a statement may run, where there is a session to hold it; null: as the server says.</param>
    public static SessionBinding OfNames(string? role, bool isReadOnly, bool hasSession, TimeSpan? timeout = null) =>
        new(null, null, role, isReadOnly, hasSession, timeout);

    /// <summary>The statement that binds, if it takes one.</summary>
    /// <param name="inTransaction">
    /// Whether the connection opens into a <c>TransactionScope</c>. The driver gives such a connection back to the pool
    /// without a reset, so what is set there must end with the transaction; and <c>default_transaction_read_only</c> would
    /// come too late for a transaction that has begun.
    /// </param>
    public SessionStatement? Statement(bool inTransaction) => inTransaction ? Transaction : _session;

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
