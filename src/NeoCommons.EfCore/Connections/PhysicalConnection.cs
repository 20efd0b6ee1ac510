using System.Diagnostics;
using System.Runtime.CompilerServices;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What we remember of one physical connection between its leases.</summary>
/// <remarks>
/// Npgsql hands out a new <see cref="NpgsqlConnection"/> for each lease and keeps the physical connection to itself; the
/// dictionary of server parameters is the one public object that lives and dies with the physical connection, so it is
/// the key. The entry dies with it.
/// </remarks>
internal sealed class PhysicalConnection
{
    private static readonly ConditionalWeakTable<object, PhysicalConnection> Known = [];

    private long _lastUsed;
    private PooledDataSource? _pool;
    private long _begunAt;
    private HashSet<(SchemaName Schema, int Tables)>? _visited;
    private int _tables;

    /// <summary>
    /// The <c>TransactionScope</c> that it was last opened in, or null where it has been reset since: the driver gives it
    /// back to the pool without a reset then.
    /// </summary>
    public string? Scope { get; set; }

    /// <summary>
    /// Whether something may be left in the session that the driver does not reset: its next lease resets it.
    /// </summary>
    public bool NeedsReset { get; set; }

    /// <summary>Whether a lease has left its search path or its role.</summary>
    public bool IsBound { get; set; }

    /// <summary>The server that it leads to; null where the row names one only.</summary>
    public HostSession? Session { get; set; }

    /// <summary>Whether a lease has left its statement timeout.</summary>
    public bool HasTimeout { get; set; }

    /// <summary>The physical connection under an open connection.</summary>
    public static PhysicalConnection Of(NpgsqlConnection open) => Known.GetOrCreateValue(open.PostgresParameters);

    /// <summary>Some of all that are open now, and of a few that were.</summary>
    public static IReadOnlyList<PhysicalConnection> Which(Func<PhysicalConnection, bool> which) =>
        [.. Known.Select(known => known.Value).Where(which)];

    /// <summary>Whether it is of this pool and leads to this server; null where the row names one only.</summary>
    public bool IsOf(PooledDataSource pool, RowHost? server) =>
        ReferenceEquals(_pool, pool) && ReferenceEquals(Session?.Host, server);

    /// <summary>Whether it is of a pool of this row, the present one or an earlier one, and leads to this server.</summary>
    public bool IsOfRow(string name, HostAddress server) => _pool?.Row.Name == name && Session?.Host.Address == server;

    /// <summary>The number of the server's process: at this server, and for now.</summary>
    public int ProcessId { get; private set; }

    /// <summary>How long it has been there, at least: by the machine's clock, since the server compares it with its own.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(_begunAt);

    /// <summary>Notes whose connection it is, when it is new.</summary>
    public void Begin(PooledDataSource pool, NpgsqlConnection open, TimeProvider time)
    {
        if (IsNew)
        {
            (_pool, ProcessId, Since, _begunAt) = (pool, open.ProcessID, time.GetTimestamp(), Stopwatch.GetTimestamp());
        }
    }

    /// <summary>When it was opened.</summary>
    public long Since { get; private set; }

    /// <summary>
    /// Whether it has served as many tables as it may: the server process keeps what it has learned of each until it ends.
    /// </summary>
    public bool IsWorn { get; private set; }

    /// <summary>Notes that a lease goes to a schema.</summary>
    /// <param name="schema">The schema.</param>
    /// <param name="tables">How many tables the lease may use there; a model of as many, in the same schema, is taken for the same.</param>
    /// <param name="most">How many tables there may be in all; 0: any number.</param>
    public void Visit(SchemaName schema, int tables, int most)
    {
        if (most == 0 || IsWorn || !(_visited ??= []).Add((schema, tables)))
        {
            return;
        }

        // One model may have more than that alone, and a connection that serves nobody else is of no use.
        _tables += tables;
        if (_tables >= most && _visited.Count > 1)
        {
            IsWorn = true;
            _visited = null;
        }
    }

    /// <summary>The physical connection under an open connection, if it was opened here.</summary>
    public static PhysicalConnection? Find(NpgsqlConnection open) =>
        Known.TryGetValue(open.PostgresParameters, out var known) ? known : null;

    /// <summary>Notes that nothing of an earlier lease is left.</summary>
    public void HasBeenReset(bool isBound, bool hasTimeout = false) =>
        (NeedsReset, IsBound, HasTimeout) = (false, isBound, hasTimeout);

    /// <summary>Whether its lease is the first: it was opened for it.</summary>
    public bool IsFirstLease { get; private set; }

    /// <summary>Whom its lease is for, if for a tenant; for traces only.</summary>
    public TenantId? Tenant { get; set; }

    /// <summary>Notes that a lease begins or ends now.</summary>
    public void MarkUsed(TimeProvider time)
    {
        IsFirstLease = IsNew;
        Volatile.Write(ref _lastUsed, time.GetTimestamp());
    }

    /// <summary>How long ago that was.</summary>
    public TimeSpan SinceUse(TimeProvider time) => time.GetElapsedTime(Volatile.Read(ref _lastUsed));

    /// <summary>Whether it has not been used before.</summary>
    public bool IsNew => Volatile.Read(ref _lastUsed) == 0;

    /// <summary>Whether it has been used before, and not for this long.</summary>
    public bool IsIdleFor(TimeSpan duration, TimeProvider time) =>
        Volatile.Read(ref _lastUsed) is var last and not 0 && time.GetElapsedTime(last) >= duration;
}
