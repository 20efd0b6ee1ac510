using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>Ends a backend of the run's database every 40 ms, as an administrator or a failing server would.</summary>
/// <remarks>
/// In bursts: a killed backend makes the driver drop its whole pool, and with a storm that never ends a run would measure
/// little else than logins.
/// </remarks>
internal sealed class BackendKiller(FuzzDatabase database, FuzzReport report)
{
    private const string Sql =
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = $1 "
        + "AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS victim";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);
    private static readonly TimeSpan Calm = TimeSpan.FromMilliseconds(800);
    private const int Burst = 8;

    /// <summary>Kills until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        // In another database, so that it never finds itself.
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(database.Server.ConnectionString) { Pooling = false }.ConnectionString
        );
        try
        {
            await connection.OpenAsync(ct);
            await using var command = new NpgsqlCommand(Sql, connection);
            command.Parameters.Add(new() { Value = database.Name });
            for (var i = 1; ; i++)
            {
                await Task.Delay(i % Burst == 0 ? Calm : Pause, ct);
                if ((long)(await command.ExecuteScalarAsync(ct))! > 0)
                {
                    report.Kill();
                }
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested) { }
    }
}
