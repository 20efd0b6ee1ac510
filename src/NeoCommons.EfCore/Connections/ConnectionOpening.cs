using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Opens connections: tries one that sat idle, binds it, and leaves nothing open that is not bound.</summary>
/// <remarks>
/// The bind runs before anybody else sees the connection as open. Whatever goes wrong in between, a cancellation too,
/// closes it before the exception leaves: an open connection that is not bound would serve the next command, and EF's
/// own retry, with the wrong search path.
/// </remarks>
internal sealed class ConnectionOpening(ConnectionOptions options, TimeProvider time)
{
    private const string Ping = "SELECT 1";

    private readonly Admission _admission = new(time);

    /// <summary>Opens the connection, and binds it if a bind is given: together with its first command, as a rule.</summary>
    /// <remarks>
    /// Completes synchronously where <c>async</c> is false: EF calls both ways, and one core serves them. What it takes is
    /// given back if it fails, and by the caller when the connection closes.
    /// </remarks>
    public ValueTask<PhysicalConnection> OpenAsync(
        NpgsqlConnection connection,
        PooledDataSource source,
        ConnectionPermits permits,
        SessionStatement? bind,
        bool async,
        CancellationToken ct,
        TenantId? tenant = null,
        OpenUse use = OpenUse.Lease
    ) =>
        new Acquisition(source, tenant, time).EndAsync(
            OpenAdmittedAsync(connection, source, permits, bind, async, use, ct)
        );

    /// <summary>Opens a session beside the pool, which no gate counts, bound to nobody.</summary>
    public ValueTask<PhysicalConnection> OpenUnpooledAsync(
        NpgsqlConnection connection,
        PooledDataSource source,
        bool async,
        CancellationToken ct
    ) => OpenAsync(connection, source.Row, source, null, async, OpenUse.Unpooled, ct);

    /// <summary>Opens a connection of a database that no row describes, bound to nobody.</summary>
    public ValueTask<PhysicalConnection> OpenAsync(
        NpgsqlConnection connection,
        DatabaseConnection database,
        bool async,
        CancellationToken ct
    ) => OpenAsync(connection, database, null, null, async, OpenUse.Lease, ct);

    private async ValueTask<PhysicalConnection> OpenAdmittedAsync(
        NpgsqlConnection connection,
        PooledDataSource source,
        ConnectionPermits permits,
        SessionStatement? bind,
        bool async,
        OpenUse use,
        CancellationToken ct
    )
    {
        await _admission.AdmitAsync(permits, source, use, async, ct).ConfigureAwait(false);
        try
        {
            return await OpenAsync(connection, source.Row, source, bind, async, use, ct).ConfigureAwait(false);
        }
        catch
        {
            permits.Release();
            throw;
        }
    }

    private async ValueTask<PhysicalConnection> OpenAsync(
        NpgsqlConnection connection,
        DatabaseConnection row,
        PooledDataSource? source,
        SessionStatement? bind,
        bool async,
        OpenUse use,
        CancellationToken ct
    )
    {
        // Every idle connection of the pool can be dead, after a server restart for one.
        for (var attemptsLeft = row.MaxPoolSize; ; attemptsLeft--)
        {
            var begun = source?.Breaker.Timestamp ?? 0;
            await (
                source is null
                    ? DriverOpening.OpenAsync(connection, row, async, ct)
                    : DriverOpening.OpenAsync(connection, source, use, async, ct)
            ).ConfigureAwait(false);
            var tried = false;
            try
            {
                var physical = PhysicalConnection.Of(connection);
                if (source is not null)
                {
                    source.Hosts?.ThrowIfRefused(physical);
                    if (!source.IsProbedAt(physical))
                    {
                        await PoolerProbe.CheckAsync(connection, source, time, async, ct).ConfigureAwait(false);
                    }

                    physical.Begin(source, connection, time);
                }

                tried = row.PrePing && physical.IsIdleFor(options.PrePingAfter, time);
                var statement = DueReset.Before(bind, connection, physical, source);
                if (
                    (tried || !TryPrepend(connection, statement))
                    && (statement?.Sql ?? (tried ? Ping : null)) is { } sql
                )
                {
                    await DriverCommand
                        .ExecuteAsync(connection, sql, tried ? options.PrePingTimeout : null, async, ct)
                        .ConfigureAwait(false);
                    if (!tried)
                    {
                        source?.Figures?.BoundApart();
                    }

                    physical.HasBeenReset(bind is not null, bind is { HasTimeout: true });
                }

                physical.MarkUsed(time);
                return physical;
            }
            catch (Exception e)
            {
                await DriverCommand.CloseAsync(connection, async).ConfigureAwait(false);
                if (attemptsLeft == 0 || !(IsRefusedHost(e) || (tried && IsDead(e))))
                {
                    if (source is not null && PoolerAnswer.Passes(e))
                    {
                        throw OfPooler(e, source, begun);
                    }

                    throw;
                }

                if (e.InnerException is TimeoutException)
                {
                    // The network swallows what is sent: trying the other idle ones would take as long for each.
                    source?.Clear();
                }
            }
        }
    }

    /// <summary>Binds a connection that somebody else has just opened; synchronously, since the driver's event is.</summary>
    /// <exception cref="TenantQuotaExceededException">The tenant has as many connections as it may.</exception>
    public PhysicalConnection Bind(
        NpgsqlConnection open,
        PooledDataSource source,
        ConnectionPermits permits,
        SessionStatement? bind
    )
    {
        try
        {
            Admission.Count(permits, source);
            return Bind(open, source, bind, permits.Limiter?.Tenant.Id);
        }
        catch
        {
            permits.Release();
            throw;
        }
    }

    /// <summary>Binds one that a <c>TransactionScope</c> holds, and that is counted no more.</summary>
    public PhysicalConnection Bind(
        NpgsqlConnection open,
        PooledDataSource source,
        SessionStatement? bind,
        TenantId? tenant = null
    )
    {
        try
        {
            source.Passwords.Accepted(open);
            var physical = PhysicalConnection.Of(open);
            source.Hosts?.ThrowIfRefused(physical);

            // Not async: the task has completed, and its exception is rethrown.
            if (!source.IsProbedAt(physical))
            {
                PoolerProbe
                    .CheckAsync(open, source, time, async: false, CancellationToken.None)
                    .GetAwaiter()
                    .GetResult();
            }

            physical.Begin(source, open, time);
            if (DueReset.Before(bind, open, physical, source) is { } statement && !TryPrepend(open, statement))
            {
                using var command = open.CreateCommand();
                command.CommandText = statement.Sql;
                command.ExecuteNonQuery();
                source.Figures?.BoundApart();
                physical.HasBeenReset(bind is not null, bind is { HasTimeout: true });
            }

            physical.Tenant = tenant;
            physical.MarkUsed(time);
            return physical;
        }
        catch
        {
            // The driver gives it back by itself, and within a scope as it is, transaction and all: it must not be kept.
            if (AmbientScope.IsPresent)
            {
                source.Clear();
            }

            throw;
        }
    }

    /// <summary>Notes the schema that a lease's connection is for, and how many tables its model has there.</summary>
    public void Visit(PhysicalConnection physical, PooledDataSource source, SchemaName schema, int tables)
    {
        if (source.Row.Pooler == PoolerMode.None)
        {
            physical.Visit(schema, tables, options.MaxTablesPerConnection);
        }
    }

    /// <summary>Says a bind once more, in a round trip of its own.</summary>
    public ValueTask BindAgainAsync(NpgsqlConnection open, SessionStatement bind, bool async, CancellationToken ct) =>
        DriverCommand.ExecuteAsync(open, bind.Sql, null, async, ct);

    /// <summary>Whether the statement can travel with the next command of a connection.</summary>
    public bool CanPrepend(SessionStatement statement) =>
        options.BindWithFirstCommand && FirstCommand.CanPrepend(statement);

    /// <summary>Lets the statement travel with the next command, if it can.</summary>
    public bool TryPrepend(NpgsqlConnection open, SessionStatement? statement) =>
        statement is not null && options.BindWithFirstCommand && FirstCommand.TryPrepend(open, statement);

    /// <summary>Notes that a connection, which is closed by now, goes back to the pool.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="physical">What was under it.</param>
    /// <param name="source">Its pool.</param>
    /// <param name="permits">What it has taken; given back when all of it is noted, for the next one to see.</param>
    public void EndUse(
        NpgsqlConnection connection,
        PhysicalConnection physical,
        PooledDataSource source,
        ConnectionPermits permits
    )
    {
        try
        {
            UseEnd.Note(connection, physical, source, permits.Limiter, time);
        }
        finally
        {
            permits.Release();
        }
    }

    // A pooler lets its clients in while it has nothing for them: what is asked first tells.
    private static ConnectionUnavailableException OfPooler(Exception e, PooledDataSource source, long begun)
    {
        var failure = OpenFailure.Explain(e, source.Row)!;
        if (source.Hosts is null && OpenFailure.IsOfOneSession(failure, source.Row))
        {
            source.Breaker.InDoubt(failure);
        }
        else if (source.Hosts is null && source.IsOutage(failure))
        {
            source.Breaker.Failed(failure, begun);
        }

        return failure;
    }

    // The next open meets another: the pool was cleared before this one was refused.
    private static bool IsRefusedHost(Exception e) =>
        e is ConnectionUnavailableException { Reason: ConnectionUnavailableReason.NoHost };

    // The server has ended the session, or cannot serve it now; without a SQLSTATE: the network has.
    private static bool IsDead(Exception e) =>
        EndedSession.Is(e)
        || PoolerAnswer.IsEnding(e)
        || e
            is PostgresException { SqlState: PostgresErrorCodes.CannotConnectNow }
                or (NpgsqlException and not PostgresException);
}
