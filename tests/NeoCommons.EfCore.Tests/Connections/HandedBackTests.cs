using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Who gets a session a moment after it was handed back, or long after, finds nothing of whoever had it.</summary>
public sealed class HandedBackTests(TestServers servers)
{
    private const string Left =
        "SELECT concat_ws(' ', pg_backend_pid(), nullif(current_setting('my.mark', true), ''), to_regclass('pg_temp.left_over'), "
        + "current_setting('default_transaction_read_only'))";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>The driver has put a session back into the pool before it tells that the connection is closed.</summary>
    [Theory]
    [InlineData("tenant's")]
    [InlineData("nobody's")]
    [InlineData("shared tables'")]
    public async Task Between_the_return_of_a_session_and_the_word_of_it_nobody_meets_what_was_left(string whose)
    {
        using var closing = new OnClosed();
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = nameof(SessionReset.WhenUsed) },
            configure: services =>
                services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(closing)),
            contexts: b => b.AddTenantDbContext<ItemsContext>().AddSharedDbContext<NoTablesContext>()
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 2, PrePing = false });
        var acme = await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");
        const string litter = "SET my.mark = 'acme'; CREATE TEMP TABLE left_over ()";
        var (first, found) = (0, "");
        if (whose == "shared tables'")
        {
            await using var context = await app
                .Services.GetRequiredService<ISharedDbContextFactory<NoTablesContext>>()
                .CreateDbContextAsync(row.Name, Ct);
            await context.Database.OpenConnectionAsync(Ct);
            await context.Database.ExecuteSqlRawAsync(litter, Ct);
            first = ((NpgsqlConnection)context.Database.GetDbConnection()).ProcessID;
            closing.Do(Next);
            await context.Database.CloseConnectionAsync();
        }
        else
        {
            await using var connection =
                whose == "nobody's"
                    ? await app.Connections.OpenConnectionAsync(row.Name, Ct)
                    : await app.Connections.OpenTenantConnectionAsync(acme.Id, Ct);
            await using var command = new NpgsqlCommand(litter, connection);
            await command.ExecuteNonQueryAsync(Ct);
            first = connection.ProcessID;
            closing.Do(Next);
            await connection.CloseAsync();
        }

        Assert.Equal($"{first} off", found);

        void Next()
        {
            using var next = app.Connections.OpenTenantConnectionAsync(globex.Id, Ct).AsTask().GetAwaiter().GetResult();
            using var look = new NpgsqlCommand(Left, next);
            found = (string)look.ExecuteScalar()!;
        }
    }

    /// <summary>The driver resets a session when it is closed, and one that is part of a transaction not even when that ends.</summary>
    [Theory]
    [InlineData("raw", SessionReset.Always, false)]
    [InlineData("raw", SessionReset.Always, true)]
    [InlineData("raw", SessionReset.WhenUsed, false)]
    [InlineData("context", SessionReset.Always, false)]
    [InlineData("context", SessionReset.Always, true)]
    [InlineData("context", SessionReset.WhenUsed, false)]
    [InlineData("reader", SessionReset.Always, false)]
    [InlineData("reader", SessionReset.Always, true)]
    public async Task A_session_that_was_enlisted_by_hand_is_as_new_when_its_transaction_has_ended(
        string whose,
        SessionReset reset,
        bool nextInScope
    )
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() }
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var acme = await app.AddTenantAsync(row, "acme");
        using var transaction = new CommittableTransaction();
        int first;
        if (whose == "raw")
        {
            await using var connection = await app.Connections.OpenTenantConnectionAsync(acme.Id, Ct);
            connection.EnlistTransaction(transaction);
            await using var command = new NpgsqlCommand(
                "SELECT set_config('my.mark', 'acme', false) FROM items",
                connection
            );
            await command.ExecuteNonQueryAsync(Ct);
            first = connection.ProcessID;
        }
        else
        {
            await using var context =
                whose == "reader"
                    ? await app.Contexts.CreateReadOnlyDbContextAsync(acme.Id, Ct)
                    : await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
            await context.Database.OpenConnectionAsync(Ct);
            context.Database.EnlistTransaction(transaction);
            Assert.Equal(1, await context.Items.CountAsync(Ct));
            first = ((NpgsqlConnection)context.Database.GetDbConnection()).ProcessID;
        }

        transaction.Commit();

        using var scope = nextInScope ? new TransactionScope(TransactionScopeAsyncFlowOption.Enabled) : null;
        await using var nobodys = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var look = new NpgsqlCommand(Left, nobodys);
        Assert.Equal($"{first} off", await look.ExecuteScalarAsync(Ct));
        await using var path = new NpgsqlCommand("SELECT to_regclass('items')::text", nobodys);
        Assert.Equal(DBNull.Value, await path.ExecuteScalarAsync(Ct));
    }

    /// <summary>And nobody pays for that twice.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_session_that_the_driver_resets_is_reset_once(bool raw)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var acme = await app.AddTenantAsync(row, "acme");
        for (var i = 0; i < 3; i++)
        {
            if (raw)
            {
                await using var connection = await app.Connections.OpenTenantConnectionAsync(acme.Id, Ct);
                Assert.False(PhysicalConnection.Find(connection)!.NeedsReset);
                await using var command = new NpgsqlCommand("SELECT owner FROM items", connection);
                Assert.Equal("acme", await command.ExecuteScalarAsync(Ct));
            }
            else
            {
                await using var context = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
                await context.Database.OpenConnectionAsync(Ct);
                Assert.False(PhysicalConnection.Find((NpgsqlConnection)context.Database.GetDbConnection())!.NeedsReset);
                Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Within_a_scope_a_session_is_handed_on_as_it_is(bool raw)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var acme = await app.AddTenantAsync(row, "acme");
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        for (var i = 0; i < 2; i++)
        {
            if (raw)
            {
                await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
                await using var command = new NpgsqlCommand(
                    "CREATE TEMP TABLE IF NOT EXISTS kept (id int)",
                    connection
                );
                await command.ExecuteNonQueryAsync(Ct);
                command.CommandText = "INSERT INTO kept VALUES (1); SELECT count(*) FROM kept";
                Assert.Equal(i + 1L, await command.ExecuteScalarAsync(Ct));
            }
            else
            {
                await using var context = await app.Contexts.CreateDbContextAsync(acme.Id, Ct);
                await context.Database.ExecuteSqlRawAsync(
                    "CREATE TEMP TABLE IF NOT EXISTS kept (id int); INSERT INTO kept VALUES (1)",
                    Ct
                );
                Assert.Equal(
                    i + 1,
                    await context
                        .Database.SqlQueryRaw<int>("SELECT count(*)::int AS \"Value\" FROM kept")
                        .SingleAsync(Ct)
                );
            }
        }
    }

    private sealed class NoTablesContext(DbContextOptions<NoTablesContext> options) : DbContext(options);

    /// <summary>Does something once, when the driver logs that it has closed a connection.</summary>
    private sealed class OnClosed : ILoggerProvider, ILogger
    {
        private Action? _do;

        public void Do(Action action) => Volatile.Write(ref _do, action);

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            if (eventId.Name == "ClosedConnection" && Interlocked.Exchange(ref _do, null) is { } action)
            {
                action();
            }
        }

        public void Dispose() { }
    }
}
