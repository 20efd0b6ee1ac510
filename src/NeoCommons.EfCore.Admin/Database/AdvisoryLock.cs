using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Advisory locks, waited for without holding a snapshot.</summary>
/// <remarks>
/// A blocked <c>SELECT pg_advisory_lock</c> is a running statement with a snapshot, and <c>CREATE INDEX CONCURRENTLY</c>
/// waits for every older snapshot: who holds the lock and builds an index would wait for those who wait for the lock.
/// Hence a loop of tries. A session's lock ends with the connection, which therefore must not be a pooled one.
/// </remarks>
internal static class AdvisoryLock
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a lock is waited for. Creating or migrating one schema takes seconds, if no index of a large table is built.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Waits until the lock is ours or the token ends it.</summary>
    /// <exception cref="TimeoutException">Another session has held it all the time.</exception>
    public static Task AcquireAsync(
        NpgsqlConnection session,
        string key,
        TimeProvider time,
        CancellationToken ct,
        TimeSpan? patience = null
    ) => WaitAsync("pg_try_advisory_lock", session, key, patience, time, ct);

    /// <summary>The same, for as long as the connection's transaction lasts: behind a transaction pooler nothing else is ours.</summary>
    /// <exception cref="TimeoutException">Another session has held it all the time.</exception>
    public static Task AcquireForTransactionAsync(
        NpgsqlConnection connection,
        string key,
        TimeProvider time,
        CancellationToken ct,
        TimeSpan? patience = null
    ) => WaitAsync("pg_try_advisory_xact_lock", connection, key, patience, time, ct);

    /// <summary>The same, together with others that only read what the lock guards.</summary>
    /// <exception cref="TimeoutException">Another session has held it all the time.</exception>
    public static Task AcquireSharedForTransactionAsync(
        NpgsqlConnection connection,
        string key,
        TimeProvider time,
        CancellationToken ct
    ) => WaitAsync("pg_try_advisory_xact_lock_shared", connection, key, null, time, ct);

    /// <summary>The same; false where another session has held it all the time.</summary>
    public static Task<bool> TryAcquireForTransactionAsync(
        NpgsqlConnection connection,
        string key,
        TimeSpan patience,
        TimeProvider time,
        CancellationToken ct
    ) => TryForAsync("pg_try_advisory_xact_lock", connection, key, patience, time, ct);

    /// <summary>SQL that says whether a session of this database holds a lock of the key, an expression of type bigint.</summary>
    public static string IsHeld(string key) => $"EXISTS (SELECT FROM pg_locks l WHERE {Holds(key)})";

    /// <summary>Takes the lock if nobody has it.</summary>
    public static Task<bool> TryAcquireAsync(NpgsqlConnection session, string key, CancellationToken ct) =>
        TryAsync("pg_try_advisory_lock", session, key, ct);

    /// <summary>Takes the lock, and waits for it only so long; false where another session has held it all the time.</summary>
    public static Task<bool> TryAcquireAsync(
        NpgsqlConnection session,
        string key,
        TimeSpan patience,
        TimeProvider time,
        CancellationToken ct
    ) => TryForAsync("pg_try_advisory_lock", session, key, patience, time, ct);

    private static async Task WaitAsync(
        string function,
        NpgsqlConnection connection,
        string key,
        TimeSpan? patience,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var longest = patience ?? Patience;
        if (!await TryForAsync(function, connection, key, longest, time, ct).ConfigureAwait(false))
        {
            var holder = await DescribeHolderAsync(connection, key, ct).ConfigureAwait(false);
            throw new TimeoutException(
                FormattableString.Invariant(
                    $"Lock '{key}' could not be had within {longest.TotalSeconds:0.#} s: {holder} holds it in database '{connection.Database}'. Nothing was done. Try again when that session has finished; if it does nothing any more, end it with pg_terminate_backend."
                )
            );
        }
    }

    private static async Task<bool> TryForAsync(
        string function,
        NpgsqlConnection connection,
        string key,
        TimeSpan patience,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var started = time.GetTimestamp();
        while (!await TryAsync(function, connection, key, ct).ConfigureAwait(false))
        {
            if (time.GetElapsedTime(started) >= patience)
            {
                return false;
            }

            await Task.Delay(Interval, time, ct).ConfigureAwait(false);
        }

        return true;
    }

    private static async Task<string> DescribeHolderAsync(NpgsqlConnection connection, string key, CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            $"""
            SELECT format('pid %s (%s, %s since %s)', a.pid, coalesce(nullif(a.application_name, ''), a.usename),
                coalesce(a.state, 'unknown'), to_char(a.state_change, 'YYYY-MM-DD HH24:MI:SSOF'))
            FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE {Holds("hashtextextended($1, 0)")} LIMIT 1
            """,
            connection
        )
        {
            Parameters = { new() { Value = key } },
        };
        await using var _ = command.ConfigureAwait(false);
        return await command.ExecuteScalarAsync(ct).ConfigureAwait(false) as string ?? "a session that has just ended";
    }

    private static string Holds(string key) =>
        $"""
            l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (l.classid::bigint << 32) | l.objid::bigint = {key}
            """;

    private static async Task<bool> TryAsync(
        string function,
        NpgsqlConnection connection,
        string key,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand($"SELECT {function}(hashtextextended($1, 0))", connection)
        {
            Parameters = { new() { Value = key } },
        };
        await using var _ = command.ConfigureAwait(false);
        return await command.ExecuteScalarAsync(ct).ConfigureAwait(false) is true;
    }
}
