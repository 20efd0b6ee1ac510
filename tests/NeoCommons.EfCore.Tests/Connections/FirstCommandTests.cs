using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>What the prepend does on the wire, so that an update of Npgsql that changes it is noticed.</summary>
public sealed class FirstCommandTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void The_pinned_driver_has_what_is_needed() => Assert.True(FirstCommand.IsAvailable);

    [Fact]
    public void Another_assembly_has_not() => Assert.False(FirstCommand.Detect(typeof(string).Assembly));

    [Fact]
    public async Task A_statement_is_in_force_when_the_next_command_runs()
    {
        await using var connection = await OpenAsync();
        Assert.True(FirstCommand.TryPrepend(connection, new SessionStatement("SET neo.mark = 'a'", 1)));
        Assert.True(FirstCommand.TryPrepend(connection, new SessionStatement("SET neo.mark = 'ä'; SELECT 1, 2", 3)));
        Assert.False(FirstCommand.IsSent(connection));
        Assert.Equal("ä", await ReadAsync(connection));
        Assert.True(FirstCommand.IsSent(connection));
    }

    [Fact]
    public async Task Two_hundred_statements_in_one_lease_change_nothing_else()
    {
        await using var connection = await OpenAsync();
        for (var i = 0; i < 200; i++)
        {
            Assert.True(FirstCommand.TryPrepend(connection, new SessionStatement($"SET neo.mark = '{i}'", 1)));
            Assert.Equal($"{i}", await ReadAsync(connection));
        }
    }

    [Fact]
    public async Task A_statement_that_fails_takes_all_of_its_message_back_and_breaks_the_connection()
    {
        await using var connection = await OpenAsync();
        var failing = new SessionStatement("SET neo.mark = 'a'", 1).Then(
            new SessionStatement("SET ROLE nobody_at_all", 1)
        );
        Assert.True(FirstCommand.TryPrepend(connection, failing));

        await Assert.ThrowsAsync<PostgresException>(() => ReadAsync(connection));
        Assert.Equal(System.Data.ConnectionState.Closed, connection.State & System.Data.ConnectionState.Open);
    }

    [Fact]
    public async Task What_does_not_fit_and_what_is_closed_is_not_prepended()
    {
        await using var connection = await OpenAsync();
        Assert.False(
            FirstCommand.TryPrepend(
                connection,
                new SessionStatement("SET neo.mark = '" + new string('x', 4000) + "'", 1)
            )
        );
        await connection.CloseAsync();
        Assert.False(FirstCommand.TryPrepend(connection, new SessionStatement("SET neo.mark = 'a'", 1)));
    }

    [Fact]
    public async Task What_was_not_sent_is_dropped_when_the_connection_is_closed()
    {
        await using var source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(servers.Postgres.GetConnectionString("postgres")) { MaxPoolSize = 1 }
        );
        await using (var first = await source.OpenConnectionAsync(Ct))
        {
            Assert.True(FirstCommand.TryPrepend(first, new SessionStatement("SET neo.mark = 'left'", 1)));
        }

        await using var second = await source.OpenConnectionAsync(Ct);
        Assert.Equal("", await ReadAsync(second));
    }

    private static async Task<string> ReadAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(
            "SELECT coalesce(current_setting('neo.mark', true), '')",
            connection
        );
        return (string)(await command.ExecuteScalarAsync(Ct))!;
    }

    private async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(servers.Postgres.GetConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync(Ct);
        return connection;
    }
}
