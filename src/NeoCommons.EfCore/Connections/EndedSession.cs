using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The answers by which a server ends a session that it had let in.</summary>
internal static class EndedSession
{
    /// <summary>By an administrator or since it shuts down, by the crash of another session, for being idle for too long.</summary>
    public static bool Is(Exception? e) =>
        e
            is PostgresException
            {
                SqlState: PostgresErrorCodes.AdminShutdown
                    or PostgresErrorCodes.CrashShutdown
                    or PostgresErrorCodes.IdleSessionTimeout
            };
}
