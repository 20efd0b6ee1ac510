using System.Data;
using System.Reflection;
using System.Runtime.CompilerServices;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Sends a statement together with the next command of a connection, so that it costs no round trip.</summary>
/// <remarks>
/// <para>
/// The one use of internals in this library (docs/adr/0009): Npgsql sends <c>BEGIN</c> and its own reset in this way,
/// and has no public door for it. What it needs is looked for once; where it is not found, or in a version that was not
/// tried, <see cref="IsAvailable"/> is false, and callers execute the statement instead.
/// </para>
/// <para>
/// The statement lies in the connection's write buffer until a command is sent, and is dropped if none is before the
/// connection is closed. If the server refuses it, the driver breaks the connection and the command throws.
/// </para>
/// </remarks>
internal static class FirstCommand
{
    // What fits into the smallest write buffer that the driver allows (4,096 bytes), beside its own reset.
    private const int LongestMessage = 3_072;

    private const string Connector = "Npgsql.Internal.NpgsqlConnector, Npgsql";

    /// <summary>Whether this version of Npgsql has what is needed.</summary>
    public static bool IsAvailable { get; } = Detect(typeof(NpgsqlConnection).Assembly);

    /// <summary>Whether the statement can be put before a command.</summary>
    public static bool CanPrepend(SessionStatement statement) =>
        IsAvailable && statement.Message.Length <= LongestMessage;

    /// <summary>Puts the statement before the next command of an open connection; false if that cannot be done.</summary>
    public static bool TryPrepend(NpgsqlConnection open, SessionStatement statement)
    {
        // While a reader is open, it would take the answer for its own.
        if (!CanPrepend(statement) || open.FullState != ConnectionState.Open || ConnectorOf(open) is not { } connector)
        {
            return false;
        }

        // The last answer says that the server is ready again.
        Prepend(connector, statement.Message, statement.Results + 1);
        return true;
    }

    /// <summary>Whether nothing waits any more: what was prepended has been sent and answered.</summary>
    public static bool IsSent(NpgsqlConnection open) => Waiting(open) == 0;

    /// <summary>How many answers wait for what was prepended; null where that is not known.</summary>
    public static int? Waiting(NpgsqlConnection open) =>
        IsAvailable && ConnectorOf(open) is { } connector ? PendingOf(connector) : null;

    internal static bool Detect(Assembly driver)
    {
        const BindingFlags Instance = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        return driver.GetName().Version is { Major: 10, Minor: 0 }
            && driver.GetType("Npgsql.Internal.NpgsqlConnector") is { } connector
            && connector.GetMethod("PrependInternalMessage", Instance, [typeof(byte[]), typeof(int)])?.ReturnType
                == typeof(void)
            && connector.GetProperty("PendingPrependedResponses", Instance)?.PropertyType == typeof(int)
            && typeof(NpgsqlConnection).GetProperty("Connector", Instance)?.PropertyType == connector;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Connector")]
    [return: UnsafeAccessorType(Connector)]
    private static extern object? ConnectorOf(NpgsqlConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "PrependInternalMessage")]
    private static extern void Prepend(
        [UnsafeAccessorType(Connector)] object connector,
        byte[] rawMessage,
        int responseMessageCount
    );

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_PendingPrependedResponses")]
    private static extern int PendingOf([UnsafeAccessorType(Connector)] object connector);
}
