using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What PgBouncer says in its own name: all of it as 08P01, so that only the text tells what it is.</summary>
/// <remarks>Texts of PgBouncer 1.18 to 1.25; what else it says is taken for the end of one session.</remarks>
internal static class PoolerAnswer
{
    /// <summary>Whether it cannot log in to its server, or is ended itself.</summary>
    public static bool IsAway(Exception? e) =>
        Says(
            e,
            "server login has been failing",
            "(server_login_retry)",
            "(server down)",
            "cannot connect to server",
            "shutting down",
            "is disabled"
        );

    /// <summary>Whether it ends this session; another may be of the one that comes after it.</summary>
    public static bool IsEnding(Exception? e) => Says(e, "shutting down");

    /// <summary>Whether it has no place for another client; those that it has go on.</summary>
    public static bool IsFull(Exception? e) => Says(e, "no more connections allowed", "client connections exceeded");

    /// <summary>Whether it had no connection to its server for as long as a client may wait there; nothing was done.</summary>
    public static bool IsLate(Exception? e) => Says(e, "query_wait_timeout");

    /// <summary>Whether it does not take what it was told, and will not.</summary>
    public static bool IsRefusal(Exception? e) =>
        Says(e, "unsupported startup parameter", "no such database", "no such user", "bouncer config error");

    /// <summary>Whether the same may succeed a moment later.</summary>
    public static bool Passes(Exception? e) => IsAway(e) || IsFull(e) || IsLate(e);

    private static bool Says(Exception? e, params ReadOnlySpan<string> texts)
    {
        if (e is not PostgresException { SqlState: PostgresErrorCodes.ProtocolViolation, MessageText: var said })
        {
            return false;
        }

        foreach (var text in texts)
        {
            if (said.Contains(text, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
