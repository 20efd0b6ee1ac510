using System.Buffers.Binary;
using System.Text;

namespace NeoCommons.EfCore;

/// <summary>SQL that changes a session, to be executed or to travel in front of the next command.</summary>
/// <remarks>
/// All of it is one message of the simple protocol, so one transaction: if a part fails, no part is in force.
/// Immutable. It is kept as the message only: there are such statements for each tenant.
/// </remarks>
internal sealed class SessionStatement
{
    // A type byte and the length before it, and the NUL at the end.
    private const int Before = 5;
    private const int Framing = 6;

    public SessionStatement(string sql, int results, bool hasTimeout = false)
        : this(Frame(Encoding.UTF8.GetBytes(sql)), results, hasTimeout) { }

    private SessionStatement(byte[] message, int results, bool hasTimeout) =>
        (Message, Results, HasTimeout) = (message, results, hasTimeout);

    /// <summary>Its text; a new string each time.</summary>
    public string Sql => Encoding.UTF8.GetString(Text);

    /// <summary>How many messages of the server answer it, without the last: one for a command, two for a query.</summary>
    public int Results { get; }

    /// <summary>Whether it sets a statement timeout for the session.</summary>
    public bool HasTimeout { get; }

    /// <summary>The frontend message <c>Query</c> (<see href="https://www.postgresql.org/docs/current/protocol-message-formats.html"/>).</summary>
    public byte[] Message { get; }

    /// <summary>This statement and then the other one, if there is one.</summary>
    public SessionStatement Then(SessionStatement? next) =>
        next is null
            ? this
            : new SessionStatement(
                Frame(Text, "; "u8, next.Text),
                Results + next.Results,
                HasTimeout || next.HasTimeout
            );

    private ReadOnlySpan<byte> Text => Message.AsSpan(Before, Message.Length - Framing);

    private static byte[] Frame(
        ReadOnlySpan<byte> text,
        ReadOnlySpan<byte> between = default,
        ReadOnlySpan<byte> next = default
    )
    {
        var message = new byte[Framing + text.Length + between.Length + next.Length];
        message[0] = (byte)'Q';
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        var rest = message.AsSpan(Before);
        text.CopyTo(rest);
        between.CopyTo(rest[text.Length..]);
        next.CopyTo(rest[(text.Length + between.Length)..]);
        return message;
    }
}
