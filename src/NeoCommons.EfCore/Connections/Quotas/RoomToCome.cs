using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>
/// Has who was told that the server is full wait a moment, where idle connections were closed for him: the server counts a session
/// until its process has ended.
/// </summary>
internal static class RoomToCome
{
    // Together 0.6 s.
    private const int MostPauses = 6;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);

    /// <summary>Whether to try again after a pause.</summary>
    /// <param name="e">What the driver has thrown.</param>
    /// <param name="source">The pool.</param>
    /// <param name="pauses">How many there were.</param>
    public static bool IsLikely(NpgsqlException e, PooledDataSource source, int pauses) =>
        pauses < MostPauses
        && source.Server.IsMakingRoom
        && (
            IsFull(e)
            || (
                e.InnerException is AggregateException all
                && all.InnerExceptions.Any(IsFull)
                && HostFailure.MayHaveUntried(e)
            )
        );

    /// <summary>Waits, each time twice as long.</summary>
    public static async ValueTask PauseAsync(int pauses, bool async, CancellationToken ct)
    {
        var pause = FirstPause * (1 << pauses);
        if (async)
        {
            await Task.Delay(pause, TimeProvider.System, ct).ConfigureAwait(false);
        }
        else
        {
            ct.WaitHandle.WaitOne(pause);
        }
    }

    private static bool IsFull(Exception e) =>
        e is PostgresException { SqlState: PostgresErrorCodes.TooManyConnections };
}
