using System.Diagnostics.Metrics;
using System.Globalization;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>The processes of the server that serve connections, and the pools that those belong to.</summary>
internal sealed class Backends(PostgresServer server)
{
    // Those who look are not counted, also while the last of them ends.
    private const string Looker = "benchmark";

    // Of one database, or of all others.
    private const string Connections =
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> '"
        + Looker
        + "' AND (datname = current_database()) = $1";

    /// <summary>Those of the tenants' database.</summary>
    public Task<IReadOnlyList<int>> OfTenantsAsync() => PidsAsync(isTenants: true);

    /// <summary>Those of the admin database.</summary>
    public Task<IReadOnlyList<int>> OfAdminAsync() => PidsAsync(isTenants: false);

    /// <summary>Waits until nobody is connected.</summary>
    public async Task ClosedAsync()
    {
        NpgsqlConnection.ClearAllPools();
        while ((await OfTenantsAsync()).Count + (await OfAdminAsync()).Count > 0)
        {
            await Task.Delay(100);
        }
    }

    /// <summary>How many pools the driver has in this process.</summary>
    public static int Pools()
    {
        var pools = 0;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (
                    instrument is
                    { Meter.Name: "Npgsql", Name: "db.client.connection.max" or "db.client.connections.max" }
                )
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>((_, _, _, _) => pools++);
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => pools++);
        listener.Start();
        listener.RecordObservableInstruments();
        return pools;
    }

    /// <summary>The private memory of processes, in MiB; NaN where it cannot be read.</summary>
    public static double MemoryOf(IEnumerable<int> pids)
    {
        try
        {
            return pids.Sum(pid =>
                    File.ReadLines($"/proc/{pid}/smaps_rollup")
                        .Where(line => line.StartsWith("Anonymous:", StringComparison.Ordinal))
                        .Sum(line =>
                            double.Parse(
                                line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                                CultureInfo.InvariantCulture
                            )
                        )
                ) / 1024;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The server is in a container, or another user's.
            return double.NaN;
        }
    }

    private async Task<IReadOnlyList<int>> PidsAsync(bool isTenants)
    {
        await using var connection = new NpgsqlConnection(
            server.ConnectionString + $";Pooling=false;Application Name={Looker}"
        );
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(Connections, connection)
        {
            Parameters = { new() { Value = isTenants } },
        };
        await using var reader = await command.ExecuteReaderAsync();
        var pids = new List<int>();
        while (await reader.ReadAsync())
        {
            pids.Add(reader.GetInt32(0));
        }

        return pids;
    }
}
