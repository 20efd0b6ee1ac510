using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>Ends a backend of the run's database every 40 ms, as an administrator or a failing server would.</summary>
/// <param name="database">The run's database.</param>
/// <param name="report">Counts.</param>
/// <param name="calm">
/// How long to rest after each burst. A killed backend makes the driver drop its whole pool: in a storm that never ends,
/// a short run would do little else than log in.
/// </param>
internal sealed class BackendKiller(FuzzDatabase database, FuzzReport report, TimeSpan calm)
{
    private const string Sql =
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = $1 "
        + "AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS victim";

    private const int Burst = 10;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

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
                await Task.Delay(i % Burst == 0 ? Pause + calm : Pause, ct);
                if ((long)(await command.ExecuteScalarAsync(ct))! > 0)
                {
                    report.Kill();
                }
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested) { }
    }
}
