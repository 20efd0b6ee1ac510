using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Which failures say that a server is away, so that callers are refused without a try.</summary>
public sealed class OutageTests
{
    [Theory]
    [InlineData("53300", PoolerMode.None, true)]
    [InlineData("58000", PoolerMode.None, true)]
    [InlineData("57P03", PoolerMode.None, true)]
    // Somebody was there to end the session.
    [InlineData("57P01", PoolerMode.None, false)]
    [InlineData("57P02", PoolerMode.None, false)]
    [InlineData("57P05", PoolerMode.None, false)]
    [InlineData("28P01", PoolerMode.None, false)]
    [InlineData("3D000", PoolerMode.None, false)]
    [InlineData("08P01", PoolerMode.None, false)]
    [InlineData("08P01", PoolerMode.Transaction, true)]
    public void An_answer_is_an_outage_only_where_no_session_can_be_had(string state, PoolerMode pooler, bool expected)
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
        var failure = OpenFailure.Explain(new PostgresException("text", "FATAL", "FATAL", state), row);

        Assert.NotNull(failure);
        Assert.Equal(expected, OpenFailure.IsOutage(failure, row));
        Assert.Equal(
            state.StartsWith("57P", StringComparison.Ordinal) && !expected,
            OpenFailure.IsEndedSession(failure)
        );
    }
}
