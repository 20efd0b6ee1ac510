using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Finds out what stands before a database, at its first use, and refuses what its row does not say.</summary>
/// <remarks>
/// A pooler answers with a key of its own, so the process id that the driver was told is not the backend's. One that
/// drops session state gives two sessions, while both are open, the same backend, or one session two backends.
/// </remarks>
internal static class PoolerProbe
{
    /// <summary>What to do where a session is not a session.</summary>
    public const string Remedies =
        "Either connect to PostgreSQL itself, or to a pooler in session mode, with 'session' in the row's column pooler; or "
        + "keep the pooler in transaction mode, write 'transaction' there, and bind the contexts by names: "
        + "AddTenantDbContext<T>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames)).";

    private const string Backend = "SELECT pg_backend_pid()";

    private const string Look =
        "SELECT pg_backend_pid(), reset_val, current_setting('max_connections')::int "
        + "- current_setting('superuser_reserved_connections')::int "
        + "- coalesce(current_setting('reserved_connections', true)::int, 0) "
        + "FROM pg_catalog.pg_settings WHERE name = 'search_path'";

    // A session pooler that has no further server connection lets the second session wait.
    private static readonly TimeSpan LongestComparison = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    // Where everything is slow, opening the second session is too: so many round trips more.
    private const int RoundTripsOfPatience = 50;

    // Under load a session may be given the same backend again by chance.
    private const int Looks = 24;

    /// <summary>Checks the pool of an open connection, and notes that it was found right.</summary>
    /// <exception cref="ConnectionUnavailableException">What answers is not what the row says, or leads to a schema.</exception>
    public static async ValueTask CheckAsync(
        NpgsqlConnection open,
        PooledDataSource source,
        TimeProvider time,
        bool async,
        CancellationToken ct
    )
    {
        // In a TransactionScope the session is in a transaction, and keeps its backend in either mode.
        var inScope = AmbientScope.IsPresent;

        // Once per pool: a caller that is synchronous waits for a thread of the pool.
        var checking = async
            ? CheckAsync(open, inScope, source, time, ct)
            : Task.Run(() => CheckAsync(open, inScope, source, time, ct), ct);
        if (async)
        {
            await checking.ConfigureAwait(false);
        }
        else
        {
            checking.GetAwaiter().GetResult();
        }

        source.HasBeenProbed(PhysicalConnection.Of(open));
    }

    private static async Task CheckAsync(
        NpgsqlConnection open,
        bool inScope,
        PooledDataSource source,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var row = source.Row;
        var (backend, path, connections) = await LookAsync(open, ct).ConfigureAwait(false);
        var isPooled = backend != open.ProcessID;
        if (row.Pooler == PoolerMode.None && (isPooled || path != SchemaName.Unbound))
        {
            throw Refusal(row, $"a pooler stands before the database, and its row says pooler 'none'. {Remedies}");
        }

        if (row.Pooler != PoolerMode.None)
        {
            source.Server.LeaveToPooler();
        }
        else
        {
            // A standby's is another server's number, and better than none.
            if (PhysicalConnection.Of(open).Session is null or { IsPrimary: true } || source.Server.Total is null)
            {
                source.Server.Learn(connections);
            }

            if (row.MaxPoolSize > connections)
            {
                throw Refusal(
                    row,
                    $"its pool_max_size is {row.MaxPoolSize}, and the server has {connections} connections for ordinary users "
                        + "(max_connections without the reserved ones). Lower pool_max_size, or raise max_connections"
                );
            }
        }

        if (path != SchemaName.Unbound)
        {
            throw Refusal(
                row,
                $"behind a pooler an unbound session of role {row.Username} would find tables by search_path = {path}. "
                    + $"Execute: ALTER ROLE {Quote(row.Username)} IN DATABASE {Quote(row.Database)} SET search_path = "
                    + $"{SchemaName.Unbound}; and let the pooler connect again (PgBouncer: RECONNECT)"
            );
        }

        if (row.Pooler != PoolerMode.Session || !isPooled)
        {
            return;
        }

        if (!inScope)
        {
            await ThrowIfSharedAsync(open, backend).ConfigureAwait(false);
            return;
        }

        var free = await OpenOtherAsync(ct).ConfigureAwait(false);
        await using var _ = free.ConfigureAwait(false);
        var other = await BackendOfAsync(free, ct).ConfigureAwait(false);
        await ThrowIfSharedAsync(free, other).ConfigureAwait(false);

        // At the same server: what two servers' processes are called says nothing.
        ValueTask<NpgsqlConnection> OpenOtherAsync(CancellationToken token) => source.OpenUnpooledAsync(open, token);

        async Task ThrowIfSharedAsync(NpgsqlConnection session, int held)
        {
            if (await AreSessionsSharedAsync(session, held, OpenOtherAsync, row, time, ct).ConfigureAwait(false))
            {
                throw Refusal(
                    row,
                    "its row says pooler 'session', and the pooler is in transaction or statement mode: it hands a session to "
                        + $"others between transactions. {Remedies}"
                );
            }
        }
    }

    /// <summary>Whether a pooler stands between that hands the session to others, with whatever it holds, locks for one.</summary>
    /// <param name="open">The session, open and in no transaction.</param>
    /// <param name="openOther">Opens another one like it.</param>
    /// <param name="row">What messages call it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ConnectionUnavailableException">It could not be found out.</exception>
    public static async Task<bool> IsSharedAsync(
        NpgsqlConnection open,
        Func<CancellationToken, ValueTask<NpgsqlConnection>> openOther,
        DatabaseConnection row,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var backend = await BackendOfAsync(open, ct).ConfigureAwait(false);
        return backend != open.ProcessID
            && await AreSessionsSharedAsync(open, backend, openOther, row, time, ct).ConfigureAwait(false);
    }

    private static async Task<bool> AreSessionsSharedAsync(
        NpgsqlConnection open,
        int backend,
        Func<CancellationToken, ValueTask<NpgsqlConnection>> openOther,
        DatabaseConnection row,
        TimeProvider time,
        CancellationToken ct
    )
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var started = time.GetTimestamp();
        var isShared = await BackendOfAsync(open, ct).ConfigureAwait(false) != backend;
        var patience = LongestComparison + (time.GetElapsedTime(started) * RoundTripsOfPatience);
        var other = HoldAsync(openOther, ending.Token);
        try
        {
            for (var looks = 0; !isShared && looks < Looks && time.GetElapsedTime(started) < patience; )
            {
                await Task.WhenAny(other, Task.Delay(Interval, time, ct)).ConfigureAwait(false);
                isShared =
                    await BackendOfAsync(open, ct).ConfigureAwait(false) != backend
                    || (other.IsCompletedSuccessfully && other.Result.Backend == backend);
                if (other.IsFaulted)
                {
                    // One that does not answer waits for this session's; one that fails says nothing.
                    throw Refusal(
                        row,
                        "whether its pooler keeps sessions could not be found out, since a second session failed: "
                            + $"{other.Exception.GetBaseException().Message} Let the pooler accept more clients"
                    );
                }

                if (!isShared && other.IsCompletedSuccessfully)
                {
                    // Poolers give the backend that was given back last: now it is the other one's.
                    looks++;
                    var held = other.Result.Connection;
                    await ExecuteAsync(held, "ROLLBACK", ending.Token).ConfigureAwait(false);
                    isShared = await BackendOfAsync(open, ct).ConfigureAwait(false) != backend;
                    other = HoldAsync(held, ending.Token);
                }
            }
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);

            // The driver may notice only at its timeout that it need not wait for the server.
            _ = EndAsync(other);
        }

        return isShared;
    }

    // Whether it waited for a server connection, which the first session holds, or failed: there is nothing to compare.
    private static async Task EndAsync(Task<(NpgsqlConnection Connection, int Backend)> other)
    {
        try
        {
            await (await other.ConfigureAwait(false)).Connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or NpgsqlException or ObjectDisposedException) { }
    }

    private static async Task<(NpgsqlConnection Connection, int Backend)> HoldAsync(
        Func<CancellationToken, ValueTask<NpgsqlConnection>> openOther,
        CancellationToken ct
    )
    {
        var connection = await openOther(ct).ConfigureAwait(false);
        try
        {
            return await HoldAsync(connection, ct).ConfigureAwait(false);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<(NpgsqlConnection Connection, int Backend)> HoldAsync(
        NpgsqlConnection connection,
        CancellationToken ct
    )
    {
        // It ends with the connection.
        await ExecuteAsync(connection, "BEGIN", ct).ConfigureAwait(false);
        return (connection, await BackendOfAsync(connection, ct).ConfigureAwait(false));
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        var command = new NpgsqlCommand(sql, connection);
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    private static async Task<int> BackendOfAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var command = new NpgsqlCommand(Backend, connection);
        await using var _ = command.ConfigureAwait(false);
        return (int)(await command.ExecuteScalarAsync(ct).ConfigureAwait(false))!;
    }

    private static async Task<(int Backend, string? Path, int Connections)> LookAsync(
        NpgsqlConnection connection,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(Look, connection);
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return (reader.GetInt32(0), reader.GetString(1), reader.GetInt32(2));
    }

    private static string Quote(string identifier) =>
        "\"" + identifier.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";

    private static ConnectionUnavailableException Refusal(DatabaseConnection row, string why) =>
        new(
            row.Name,
            ConnectionUnavailableReason.InvalidConfiguration,
            $"Connection '{row.Name}' cannot be used: {why}"
        );
}
