using System.Net.Sockets;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Which failures say that a server is away, and which may be one session's.</summary>
public sealed class OutageTests
{
    [Theory]
    [InlineData("53300", PoolerMode.None, true, false)]
    [InlineData("58000", PoolerMode.None, true, false)]
    [InlineData("57P03", PoolerMode.None, true, false)]
    // Somebody was there to end the session.
    [InlineData("57P01", PoolerMode.None, true, true)]
    [InlineData("57P02", PoolerMode.None, true, true)]
    [InlineData("57P05", PoolerMode.None, true, true)]
    [InlineData("28P01", PoolerMode.None, false, false)]
    [InlineData("3D000", PoolerMode.None, false, false)]
    [InlineData("08P01", PoolerMode.None, false, false)]
    // A pooler's word for a server that is away, and for a session that was ended.
    [InlineData("08P01", PoolerMode.Transaction, true, true)]
    public void Of_an_answer(string state, PoolerMode pooler, bool isOutage, bool isOfOneSession) =>
        Of(new PostgresException("text", "FATAL", "FATAL", state), pooler, isOutage, isOfOneSession);

    // In its own name a pooler says 08P01 for whatever it is.
    [Theory]
    [InlineData("server login has been failing, try again later (server_login_retry)", true, false, false)]
    [InlineData("server login has been failing, cached error: FATAL: x (server_login_retry)", true, false, false)]
    [InlineData("client_login_timeout (server down)", true, false, false)]
    [InlineData("pgbouncer cannot connect to server", true, false, false)]
    [InlineData("pooler is shutting down", true, false, false)]
    [InlineData("no more connections allowed (max_client_conn)", true, false, true)]
    [InlineData("client connections exceeded (max_db_client_connections)", true, false, true)]
    [InlineData("query_wait_timeout", true, true, false)]
    [InlineData("server conn crashed?", true, true, false)]
    [InlineData("unsupported startup parameter: search_path", false, false, false)]
    [InlineData("no such database: shop", false, false, false)]
    public void Of_what_a_pooler_says(string text, bool isOutage, bool isOfOneSession, bool isFull)
    {
        var e = new PostgresException(text, "FATAL", "FATAL", "08P01");
        var failure = Of(e, PoolerMode.Transaction, isOutage, isOfOneSession);

        Assert.Equal(isFull, OpenFailure.IsFull(failure));
        Assert.Equal(isOutage && text != "server conn crashed?", TransientFault.Is(failure));
        Assert.Equal(TransientFault.Is(failure), TransientFault.Is(e));
        Assert.Equal(
            TransientFault.Is(failure) ? 0 : 1,
            failure.Message.Split("a pooler that does not pass search_path on").Length - 1
        );
    }

    [Fact]
    public void Of_no_answer()
    {
        Of(Driver(new SocketException((int)SocketError.ConnectionRefused)), PoolerMode.None, true, false);
        Of(Driver(new TimeoutException()), PoolerMode.None, true, false);
        Of(Driver(new IOException("late", new TimeoutException())), PoolerMode.None, true, false);
        Of(new TimeoutException(), PoolerMode.None, true, false);

        // It was let in and hung up on.
        Of(Driver(new EndOfStreamException()), PoolerMode.None, true, true);
        Of(Driver(new IOException("reset", new SocketException())), PoolerMode.None, true, true);

        static NpgsqlException Driver(Exception cause) => new("text", cause);
    }

    private static ConnectionUnavailableException Of(Exception e, PoolerMode pooler, bool isOutage, bool isOfOneSession)
    {
        var row = new DatabaseConnection
        {
            Name = "db1",
            Host = "localhost",
            Database = "app",
            Username = "app",
            Password = Secret.FromText(""),
            Pooler = pooler,
        };
        var failure = OpenFailure.Explain(e, row);

        Assert.NotNull(failure);
        Assert.Equal(isOutage, OpenFailure.IsOutage(failure, row));
        Assert.Equal(isOfOneSession, OpenFailure.IsOfOneSession(failure, row));
        return failure;
    }
}
