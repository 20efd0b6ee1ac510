using System.Data;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Opens connections that are bound to nobody, for work of our own; one that fails is disposed.</summary>
internal static class NewConnections
{
    /// <summary>Opens a connection of a registered database.</summary>
    /// <param name="opening">Opens it.</param>
    /// <param name="source">The database.</param>
    /// <param name="pooled">Whether it is one of the pool, or its session ends when it is closed.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="use">What one of the pool is opened for.</param>
    public static ValueTask<NpgsqlConnection> OpenNewAsync(
        this ConnectionOpening opening,
        PooledDataSource source,
        bool pooled,
        CancellationToken ct,
        OpenUse use = OpenUse.Lease
    )
    {
        if (!pooled)
        {
            return OpenAsync(
                source.Unpooled,
                async connection =>
                    await opening.OpenUnpooledAsync(connection, source, async: true, ct).ConfigureAwait(false)
            );
        }

        return OpenAsync(
            source.Source,
            async connection =>
            {
                var permits = new ConnectionPermits();
                var physical = await opening
                    .OpenAsync(connection, source, permits, null, async: true, ct, use: use)
                    .ConfigureAwait(false);

                // What is done in the session, by a check of the application for one, is nobody else's; and when it is closed, the
                // session is another one's already.
                physical.NeedsReset |= source.OwnsReset;
                connection.StateChange += (_, change) =>
                {
                    if (change.CurrentState != ConnectionState.Open)
                    {
                        opening.EndUse(connection, physical, source, permits);
                    }
                };
            }
        );
    }

    /// <summary>Opens a connection of a database that no row describes.</summary>
    public static ValueTask<NpgsqlConnection> OpenNewAsync(
        this ConnectionOpening opening,
        NpgsqlDataSource source,
        DatabaseConnection database,
        CancellationToken ct
    ) =>
        OpenAsync(
            source,
            async connection => await opening.OpenAsync(connection, database, async: true, ct).ConfigureAwait(false)
        );

    private static async ValueTask<NpgsqlConnection> OpenAsync(
        NpgsqlDataSource source,
        Func<NpgsqlConnection, Task> openAsync
    )
    {
        var connection = source.CreateConnection();
        try
        {
            await openAsync(connection).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
