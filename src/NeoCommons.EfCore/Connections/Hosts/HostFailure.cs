using System.Net.Sockets;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Finds in what the driver throws for several hosts the failure that says most.</summary>
internal static class HostFailure
{
    /// <summary>The server's refusal of the user or the password, of whichever host; null where there is none.</summary>
    public static PostgresException? RefusalIn(Exception e) =>
        e switch
        {
            PostgresException { SqlState: ['2', '8', ..] } refusal => refusal,
            RefusedBeforeException { Cause: { } cause } => cause,
            NpgsqlException { InnerException: RefusedBeforeException { Cause: { } cause } } => cause,
            NpgsqlException { InnerException: AggregateException all } => all
                .InnerExceptions.Select(RefusalIn)
                .FirstOrDefault(r => r is not null),
            _ => null,
        };

    /// <summary>Whether each host that was tried has refused the user or the password, now or a moment ago.</summary>
    public static bool HaveAllRefused(Exception e) =>
        e is NpgsqlException { InnerException: AggregateException all }
            ? all.InnerExceptions.All(IsRefusal)
            : IsRefusal(e);

    /// <summary>
    /// Whether whoever was told the password has refused it, one of them just now: the others were not even reached. What fails
    /// after the password was told may have taken it.
    /// </summary>
    public static bool HaveToldRefused(Exception e) =>
        e is NpgsqlException { InnerException: AggregateException all }
            ? all.InnerExceptions.Any(one => one is PostgresException && IsRefusal(one))
                && all.InnerExceptions.All(one => IsRefusal(one) || one is { InnerException: SocketException })
            : e is PostgresException && IsRefusal(e);

    /// <summary>
    /// One host's failure in the place of all hosts', where it is what the caller must know: a refused password, a full pool.
    /// </summary>
    public static Exception CauseOf(Exception e) =>
        e is NpgsqlException { InnerException: AggregateException all }
            ? (HaveAllRefused(e) ? RefusalIn(e) : null)
                ?? all.InnerExceptions.FirstOrDefault(one =>
                    one is { InnerException: ConnectionUnavailableException }
                    || (one is NpgsqlException && OpenFailure.IsExhaustion(one))
                )
                ?? e
            : e;

    /// <summary>Whether the driver found no host that it could use.</summary>
    public static bool IsNoHost(NpgsqlException e) => e.InnerException is AggregateException || IsUntried(e);

    /// <summary>Whether the driver tried none: it remembers of each that it is down, or not what is asked for.</summary>
    public static bool IsUntried(NpgsqlException e) =>
        e.Message.StartsWith("No suitable host", StringComparison.Ordinal);

    /// <summary>
    /// Whether there may be a host that the driver did not try; not where one took its time, which another round would take again, nor where
    /// one has refused the user, which another round would tell the password again.
    /// </summary>
    public static bool MayHaveUntried(NpgsqlException e) =>
        IsUntried(e)
        || HasEnded(e)
        || (e.InnerException is AggregateException all && all.InnerExceptions.All(one => IsAway(one) || IsOther(one)));

    /// <summary>Whether those that were tried had refused the user before, and were told nothing.</summary>
    public static bool WereRefusedBefore(NpgsqlException e) =>
        e.InnerException is AggregateException all
        && all.InnerExceptions.All(one => one is { InnerException: RefusedBeforeException { Cause: not null } });

    /// <summary>Whether all that were tried are away.</summary>
    public static bool AreAway(NpgsqlException e) =>
        e.InnerException is AggregateException all ? all.InnerExceptions.All(IsAway) : IsAway(e);

    /// <summary>
    /// Whether nobody has answered; a network without anybody there says so itself after some seconds, which each open would wait for.
    /// </summary>
    public static bool IsSilence(Exception? e) =>
        e switch
        {
            null => false,
            TimeoutException => true,
            SocketException { SocketErrorCode: var code } => code
                is SocketError.TimedOut
                    or SocketError.HostUnreachable
                    or SocketError.NetworkUnreachable
                    or SocketError.HostDown,
            _ => IsSilence(e.InnerException),
        };

    /// <summary>What each host's failure was.</summary>
    public static string TextOf(NpgsqlException e) =>
        e.InnerException is AggregateException all
            ? string.Join("; ", all.InnerExceptions.Select(one => one.Message.TrimEnd('.')).Distinct())
            : "none of them is what is asked for";

    // An idle session that the driver has asked what its host is, and that was killed: it throws what the only one says as it is, and
    // takes the host for down.
    private static bool HasEnded(NpgsqlException e) =>
        e
            is PostgresException { SqlState: PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown }
                or { InnerException: IOException };

    private static bool IsAway(Exception e) =>
        e is { InnerException: IOException or SocketException } || PoolerAnswer.IsAway(e);

    // A standby that does not have the database yet, for one; and then it is not told the password twice.
    private static bool IsOther(Exception e) =>
        e
            is PostgresException { SqlState: not (['2', '8', ..] or ['0', '8', ..]) }
                or { InnerException: RefusedBeforeException { Cause: null } };

    private static bool IsRefusal(Exception e) =>
        RefusalIn(e) is not null || e is RefusedBeforeException or { InnerException: RefusedBeforeException };
}
