using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Session-level advisory locks, waited for without holding a snapshot.</summary>
/// <remarks>
/// A blocked <c>SELECT pg_advisory_lock</c> is a running statement with a snapshot, and <c>CREATE INDEX CONCURRENTLY</c>
/// waits for every older snapshot: who holds the lock and builds an index would wait for those who wait for the lock.
/// Hence a loop of tries. The lock ends with the connection, which therefore must not be a pooled one.
/// </remarks>
internal static class AdvisoryLock
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Waits until the lock is ours or the token ends it.</summary>
    public static async Task AcquireAsync(NpgsqlConnection session, string key, TimeProvider time, CancellationToken ct)
    {
        while (!await TryAcquireAsync(session, key, ct).ConfigureAwait(false))
        {
            await Task.Delay(Interval, time, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Takes the lock if nobody has it.</summary>
    public static async Task<bool> TryAcquireAsync(NpgsqlConnection session, string key, CancellationToken ct)
    {
        var command = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", session)
        {
            Parameters = { new() { Value = key } },
        };
        await using var _ = command.ConfigureAwait(false);
        return await command.ExecuteScalarAsync(ct).ConfigureAwait(false) is true;
    }
}
