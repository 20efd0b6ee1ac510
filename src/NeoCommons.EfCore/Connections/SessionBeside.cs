using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Opens sessions beside a pool, which end when they are closed.</summary>
internal static class SessionBeside
{
    /// <summary>Opens one as the driver does; under a lease.</summary>
    public static ValueTask<NpgsqlConnection> OpenUnpooledAsync(this PooledDataSource source, CancellationToken ct) =>
        source.OpenUnpooledAtAsync(null, ct);

    /// <summary>The same, to the server that another connection leads to.</summary>
    public static ValueTask<NpgsqlConnection> OpenUnpooledAsync(
        this PooledDataSource source,
        NpgsqlConnection beside,
        CancellationToken ct
    ) => source.OpenUnpooledAtAsync(PhysicalConnection.Of(beside).Session?.Host, ct);

    /// <summary>The same, to one of its servers.</summary>
    /// <param name="source">The pool.</param>
    /// <param name="host">The server; null where any that takes writes will do.</param>
    /// <param name="ct">Cancels.</param>
    public static ValueTask<NpgsqlConnection> OpenUnpooledAtAsync(
        this PooledDataSource source,
        RowHost? host,
        CancellationToken ct
    ) => source.OpenAsync(host is null ? source.Unpooled.CreateConnection() : host.CreateConnection(), host, ct);

    /// <summary>Opens a connection that is none of the pool; it is disposed where that fails.</summary>
    public static async ValueTask<NpgsqlConnection> OpenAsync(
        this PooledDataSource source,
        NpgsqlConnection connection,
        RowHost? host,
        CancellationToken ct
    )
    {
        // The gate tells opens apart by their tokens.
        using var own = source.Hosts is null ? null : CancellationTokenSource.CreateLinkedTokenSource(ct);
        var token = own?.Token ?? ct;
        var passwords = host?.Passwords ?? source.Passwords;
        try
        {
            await connection.OpenAsync(token).ConfigureAwait(false);
            passwords.Accepted(connection);
            return connection;
        }
        catch (Exception e)
        {
            if (
                (host is not null || source.Hosts is null)
                && e is PostgresException
                && HostFailure.RefusalIn(e) is { } refusal
            )
            {
                passwords.Refuse(passwords.Given(async: true, token) ?? source.Row.Password, refusal);
            }

            passwords.Ended(async: true, token);
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
