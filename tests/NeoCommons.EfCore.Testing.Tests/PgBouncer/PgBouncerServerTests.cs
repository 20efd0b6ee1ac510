using Npgsql;

namespace NeoCommons.EfCore.Testing.Tests;

public class PgBouncerServerTests(Servers servers)
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact]
    public async Task In_session_mode_a_SET_stays_with_the_client_that_made_it()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Session);
        await using var first = await OpenAsync(pooler);
        await ExecuteAsync(first, "SET search_path = mine");

        Assert.Equal("mine", await ExecuteAsync(first, "SHOW search_path"));
        Assert.Equal(PgBouncerPoolMode.Session, pooler.PoolMode);
    }

    [Fact]
    public async Task In_transaction_mode_a_SET_of_one_client_is_seen_by_the_next()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction);
        await using var first = await OpenAsync(pooler);
        await using var second = await OpenAsync(pooler);

        await ExecuteAsync(first, "SET search_path = mine");

        Assert.Equal("mine", await ExecuteAsync(second, "SHOW search_path"));
    }

    [Fact]
    public async Task In_transaction_mode_a_path_set_for_one_transaction_stays_in_it()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction);
        await using var first = await OpenAsync(pooler);
        await using var second = await OpenAsync(pooler);

        await using var transaction = await first.BeginTransactionAsync(_ct);
        await ExecuteAsync(first, "SET LOCAL search_path = mine");
        Assert.Equal("mine", await ExecuteAsync(first, "SHOW search_path"));
        await transaction.CommitAsync(_ct);

        Assert.NotEqual("mine", await ExecuteAsync(second, "SHOW search_path"));
    }

    [Fact]
    public async Task A_search_path_at_start_up_is_refused_so_that_a_pooler_can_be_detected()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction);
        var withPath = new NpgsqlConnectionStringBuilder(pooler.GetConnectionString("postgres"))
        {
            SearchPath = "probe",
        };

        var refused = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(withPath.ConnectionString));

        Assert.Equal(PostgresErrorCodes.ProtocolViolation, refused.SqlState);
    }

    [Fact]
    public async Task Nobody_enters_without_the_password()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Session);
        var wrong = new NpgsqlConnectionStringBuilder(pooler.GetConnectionString("postgres")) { Password = "wrong" };

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(wrong.ConnectionString));
    }

    [Fact]
    public async Task Stopped_and_started_again_it_serves_on_the_same_port()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Session);
        var address = pooler.GetConnectionString("postgres");

        await pooler.StopAsync(_ct);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => Sql.OpenAsync(address));
        await pooler.StartAgainAsync(_ct);

        Assert.Equal(1, await Sql.ScalarAsync(address, "SELECT 1"));
    }

    // One server connection for all clients makes every leak visible.
    private Task<PgBouncerServer> StartAsync(PgBouncerPoolMode mode) =>
        PgBouncerServer.StartAsync(
            servers.Postgres,
            new PgBouncerServerOptions
            {
                PoolMode = mode,
                Settings = { ["default_pool_size"] = mode == PgBouncerPoolMode.Session ? "5" : "1" },
            },
            _ct
        );

    private static Task<NpgsqlConnection> OpenAsync(PgBouncerServer pooler) =>
        Sql.OpenAsync(pooler.GetConnectionString("postgres"));

    private async Task<object?> ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(_ct);
    }
}
