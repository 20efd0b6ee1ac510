using System.Buffers.Binary;
using System.Text;

namespace NeoCommons.EfCore;

/// <summary>SQL that changes a session, to be executed or to travel in front of the next command.</summary>
/// <remarks>
/// All of it is one message of the simple protocol, so one transaction: if a part fails, no part is in force.
/// Immutable; the message is encoded at its first use.
/// </remarks>
internal sealed class SessionStatement(string sql, int results, bool hasTimeout = false)
{
    // A type byte, the length, and the NUL at the end.
    private const int Framing = 6;

    private byte[]? _message;

    public string Sql => sql;

    /// <summary>How many messages of the server answer it, without the last: one for a command, two for a query.</summary>
    public int Results => results;

    /// <summary>Whether it sets a statement timeout for the session.</summary>
    public bool HasTimeout => hasTimeout;

    /// <summary>The frontend message <c>Query</c> (<see href="https://www.postgresql.org/docs/current/protocol-message-formats.html"/>).</summary>
    public byte[] Message => _message ??= Encode(sql);

    /// <summary>This statement and then the other one, if there is one.</summary>
    public SessionStatement Then(SessionStatement? next) =>
        next is null
            ? this
            : new SessionStatement(sql + "; " + next.Sql, results + next.Results, hasTimeout || next.HasTimeout);

    private static byte[] Encode(string sql)
    {
        var message = new byte[Framing + Encoding.UTF8.GetByteCount(sql)];
        message[0] = (byte)'Q';
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), message.Length - 1);
        Encoding.UTF8.GetBytes(sql, message.AsSpan(5));
        return message;
    }
}
