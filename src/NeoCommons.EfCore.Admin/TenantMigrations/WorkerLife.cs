using System.Data;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A session of the admin database whose advisory locks say that these workers are alive.</summary>
internal sealed class WorkerLife(AdminDatabase database, long[] workers) : IAsyncDisposable
{
    private NpgsqlConnection? _session;

    /// <summary>Takes the locks, or sees to it that they are still held.</summary>
    public async Task BeginAsync(CancellationToken ct)
    {
        if (_session is { State: ConnectionState.Open } session)
        {
            try
            {
                await session.ExecuteAsync("SELECT 1", ct).ConfigureAwait(false);
                return;
            }
            catch (NpgsqlException)
            {
                // Lost: others may give our tenants to somebody else, who will wait for the schema's lock and find it done.
            }
        }

        await DisposeAsync().ConfigureAwait(false);
        var begun = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        try
        {
            var take = new NpgsqlCommand("SELECT pg_advisory_lock(worker) FROM unnest($1) AS worker", begun)
            {
                Parameters = { new() { Value = workers } },
            };
            await using var _ = take.ConfigureAwait(false);
            await take.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
            _session = begun;
        }
        catch
        {
            await begun.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_session is { } session)
        {
            _session = null;
            await session.DisposeAsync().ConfigureAwait(false);
        }
    }
}
