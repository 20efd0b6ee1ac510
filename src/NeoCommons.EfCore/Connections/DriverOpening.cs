using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Has the driver open a connection of a pool, whatever happens meanwhile to the pool and its password.</summary>
/// <remarks>
/// Who opens a connection has waited for it already (<see cref="Admission"/>), unless connections are taken that nothing counts.
/// Who waits in the driver's queue for one of those is woken when the pool is replaced, or, if he waits synchronously, at the
/// pool's timeout.
/// </remarks>
internal static class DriverOpening
{
    /// <summary>Opens it; with another password, once, if the server refuses the one that it got.</summary>
    /// <param name="connection">A closed connection of the source.</param>
    /// <param name="source">Its source.</param>
    /// <param name="use">What the connection is opened for.</param>
    /// <param name="async">Whether to wait without a thread.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="at">The server, where the connection leads to this one of several.</param>
    /// <exception cref="ConnectionUnavailableException">It could not be opened.</exception>
    public static async ValueTask OpenAsync(
        NpgsqlConnection connection,
        PooledDataSource source,
        OpenUse use,
        bool async,
        CancellationToken ct,
        RowHost? at = null
    )
    {
        if (use != OpenUse.Look && source.Hosts is { } hosts)
        {
            await hosts.FirstLookAsync(async, ct).ConfigureAwait(false);
        }

        var passwords = at?.Passwords ?? source.Passwords;

        // Of several servers one may serve while another fails; the driver remembers which did, and refuses as fast.
        var breaker = source.Hosts is null ? source.Breaker : null;
        var isFirst = true;
        var forgotten = 0;
        var pauses = 0;
        while (true)
        {
            if (source.Life.IsClosed)
            {
                throw OpenFailure.Ended(source);
            }

            if (use != OpenUse.Look)
            {
                source.Hosts?.Outage.ThrowIfOn();
            }

            var refusal =
                at is null && source.Hosts is { } all ? all.RefusalOfAll(source.Row) : passwords.RefusalOf(source.Row);
            if (refusal is not null && (use is OpenUse.Unpooled or OpenUse.Look || !source.MayHaveIdle))
            {
                throw passwords.Explain(refusal, source.Row);
            }

            // It costs memory, so it is left out where nobody can have to wait. With several servers the password is asked for
            // several times, and the token says by whom.
            using var either =
                async && (source.IsCrowded || source.Hosts is not null)
                    ? CancellationTokenSource.CreateLinkedTokenSource(
                        ct,
                        use == OpenUse.Movable ? source.Life.Retiring : source.Life.Closing
                    )
                    : null;
            var token = either?.Token ?? ct;
            breaker?.ThrowIfOpen();
            var started = breaker?.Timestamp ?? 0;
            try
            {
                source.Growth.CountOpening(1);
                try
                {
                    await OpenAsync(connection, async, token).ConfigureAwait(false);
                }
                finally
                {
                    source.Growth.CountOpening(-1);
                }

                passwords.Accepted(connection);
                if (source.Row.Pooler == PoolerMode.None)
                {
                    // A pooler lets its clients in while the server is away.
                    breaker?.Succeeded();
                }

                if (!source.Life.IsClosed)
                {
                    return;
                }
            }
            catch (NpgsqlException e) when (RoomToCome.IsLikely(e, source, pauses))
            {
                breaker?.GivenUp(started);
                passwords.Ended(async, token);
                await RoomToCome.PauseAsync(pauses++, async, ct).ConfigureAwait(false);
                source.Hosts?.ForgetStates();
                continue;
            }
            catch (NpgsqlException e) when (source.Hosts is { } pools && pools.Retries.Begin(e, forgotten))
            {
                // One killed session has hidden its host, and nobody has tried whether it is there.
                forgotten++;
                passwords.Ended(async, token);
                continue;
            }
            catch (NpgsqlException refused)
                when (HostFailure.HaveAllRefused(refused) && HostFailure.RefusalIn(refused) is not null)
            {
                var e = HostFailure.RefusalIn(refused)!;
                var given = passwords.Given(async, token) ?? source.Row.Password;
                var isNew = HostFailure.HaveToldRefused(refused);
                if (isNew && at is null && forgotten == 0 && source.Hosts is { } several)
                {
                    several.Refuse(passwords.Told(async, token), given, e);
                    if (several.RefusalOfAll(source.Row) is null)
                    {
                        // The others were not asked: the driver remembers them as useless, and they may not be.
                        forgotten++;
                        several.ForgetStates();
                        passwords.Ended(async, token);
                        continue;
                    }
                }

                try
                {
                    await FindOtherAsync(source, passwords, given, isFirst && isNew, e, async, ct)
                        .ConfigureAwait(false);
                }
                finally
                {
                    // Not before the row was read again: it may have served those who come meanwhile.
                    if (isNew && source.Row.Password.Equals(given))
                    {
                        if (at is null && source.Hosts is { } told)
                        {
                            told.Refuse(passwords.Told(async, token), given, e);
                        }
                        else
                        {
                            passwords.Refuse(given, e);
                        }
                    }

                    passwords.Ended(async, token);
                }

                isFirst = false;
                continue;
            }
            catch (Exception e)
            {
                if (at is null && source.Hosts is { } told && HostFailure.HaveToldRefused(e))
                {
                    told.Refuse(passwords.Told(async, token), source.Row.Password, HostFailure.RefusalIn(e)!);
                }

                passwords.Ended(async, token);
                if (forgotten > 0 && e is NpgsqlException useless && HostFailure.MayHaveUntried(useless))
                {
                    source.Hosts?.Retries.EndInVain();
                }

                var explained = Explain(HostFailure.CauseOf(e), source, token);
                if (explained is not null && OpenFailure.IsOfOneSession(explained, source.Row))
                {
                    breaker?.InDoubt(explained);
                }
                else if (explained is not null && source.IsOutage(explained))
                {
                    breaker?.Failed(explained, started);
                }
                else
                {
                    breaker?.GivenUp(started);
                }

                // The driver may notice its timeout before the cancellation that the caller waits for.
                ct.ThrowIfCancellationRequested();
                if (explained is not null)
                {
                    throw explained;
                }

                throw;
            }

            // Woken by a connection that came back after the deadline. The pool that nobody empties any more must not keep it.
            source.Clear();
            connection.Close();
            throw OpenFailure.Ended(source);
        }
    }

    /// <summary>Opens a connection of a database that no row describes.</summary>
    /// <exception cref="ConnectionUnavailableException">It could not be opened.</exception>
    public static async ValueTask OpenAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        bool async,
        CancellationToken ct
    )
    {
        try
        {
            await OpenAsync(connection, async, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (OpenFailure.Explain(e, row) is { } explained)
        {
            ct.ThrowIfCancellationRequested();
            throw explained;
        }
    }

    private static ValueTask OpenAsync(NpgsqlConnection connection, bool async, CancellationToken ct)
    {
        if (async)
        {
            return new(connection.OpenAsync(ct));
        }

        connection.Open();
        return default;
    }

    /// <summary>Returns where there is another password to try.</summary>
    private static async ValueTask FindOtherAsync(
        PooledDataSource source,
        PasswordGate passwords,
        Secret refused,
        bool isFirst,
        PostgresException e,
        bool async,
        CancellationToken ct
    )
    {
        if (isFirst && source.Row.Password.Equals(refused) && source.Refresh is { } refresh)
        {
            // On a thread of its own: never part of the caller's transaction.
            var refreshing = Task.Run(() => refresh(source, ct), CancellationToken.None);
            if (!(async ? await refreshing.ConfigureAwait(false) : refreshing.GetAwaiter().GetResult()))
            {
                throw OpenFailure.Ended(source, e);
            }
        }

        if (!isFirst || source.Row.Password.Equals(refused))
        {
            throw passwords.Explain(e, source.Row);
        }
    }

    private static ConnectionUnavailableException? Explain(
        Exception e,
        PooledDataSource source,
        CancellationToken ct
    ) =>
        e switch
        {
            // The driver wraps what comes out of asking for the password.
            { InnerException: ConnectionUnavailableException refused } => refused,
            OperationCanceledException
            or { InnerException: OperationCanceledException } when ct.IsCancellationRequested => OpenFailure.Ended(
                source,
                e
            ),
            ObjectDisposedException when source.Life.IsClosed => OpenFailure.Ended(source, e),
            _ => OpenFailure.Explain(e, source.Row),
        };
}
