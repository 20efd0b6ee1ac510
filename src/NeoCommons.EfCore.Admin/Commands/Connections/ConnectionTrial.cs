using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Opens a connection as a row describes it, beside the pools, and looks at what is there.</summary>
internal sealed class ConnectionTrial(
    ConnectionOpening opening,
    IOptions<ConnectionOptions> options,
    ILoggerFactory loggers,
    TimeProvider time
)
{
    /// <exception cref="ConnectionUnavailableException">The database cannot be used as the row says.</exception>
    /// <exception cref="SecretDecryptionException">The row's password cannot be read.</exception>
    public async Task<ConnectionFindings> RunAsync(DatabaseConnection row, CancellationToken ct)
    {
        // Before the driver asks for it, and wraps what it gets.
        _ = row.Password.Reveal();
        var source = new PooledDataSource(row, options.Value, loggers, time);
        source.TryAcquire();
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            return await LookAsync(connection, ct).ConfigureAwait(false);
        }
        finally
        {
            source.Release();
            await source.RetireAsync(TimeSpan.Zero).ConfigureAwait(false);
        }
    }

    /// <summary>The same with a password that was given a moment ago, and not the row's.</summary>
    /// <exception cref="CommandFailedException">The server refuses it.</exception>
    public async Task<ConnectionFindings> RunAsync(DatabaseConnection row, string given, CancellationToken ct)
    {
        try
        {
            return await RunAsync(row with { Password = Secret.FromText(given) }, ct).ConfigureAwait(false);
        }
        catch (ConnectionUnavailableException e)
            when (e is { Reason: ConnectionUnavailableReason.AuthenticationFailed, InnerException: PostgresException p }
            )
        {
            throw new CommandFailedException(
                ExitCode.Unavailable,
                $"The server {row.Host}:{row.Port} refused user '{row.Username}' with the password that was given ({p.SqlState}). "
                    + "Nothing was stored. Give the one that the server knows, or let it know this one first (ALTER ROLE).",
                e
            );
        }
    }

    private static async Task<ConnectionFindings> LookAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            """
            SELECT current_setting('server_version'), current_user::text, current_database()::text, pg_is_in_recovery(),
                has_database_privilege(current_database(), 'CREATE'),
                coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false)
            """,
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return new ConnectionFindings(
            reader.GetString(0),
            reader.GetString(1),
            reader.GetString(2),
            reader.GetBoolean(3),
            reader.GetBoolean(4),
            reader.GetBoolean(5)
        );
    }
}
