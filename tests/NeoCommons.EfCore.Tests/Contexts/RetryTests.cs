using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>A context tries again what certainly did not happen, and nothing else.</summary>
public sealed class RetryTests(TestServers servers)
{
    private static readonly Dictionary<string, string?> NoTrial = new()
    {
        // Connections are tried before they are handed out where the row says so; these tests want them dead.
        ["NeoCommons:Connections:PrePingAfter"] = "1.00:00:00",
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_query_whose_connection_was_killed_is_made_again(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres, NoTrial);
        var (row, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Items.ToListAsync(Ct);
        await app.KillBackendsAsync(row);

        Assert.Equal("acme", async ? (await context.Items.SingleAsync(Ct)).Owner : context.Items.Single().Owner);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_was_saved_before_keeps_no_query_from_being_made_again(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres, NoTrial);
        var (row, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "saved"), Ct);
        await app.KillBackendsAsync(row);

        Assert.Equal("saved", async ? (await context.Items.SingleAsync(Ct)).Owner : context.Items.Single().Owner);
    }

    [Theory]
    [InlineData(true, 4)]
    [InlineData(false, 1)]
    public async Task SQL_of_the_application_is_done_again_by_a_read_only_context_alone(bool readOnly, int expected)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (_, tenant) = await WithTenantAsync(app);
        await using var context = readOnly
            ? await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct)
            : await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        var failure = await Record.ExceptionAsync(() =>
            context
                .Database.CreateExecutionStrategy()
                .ExecuteAsync(async () =>
                {
                    tries++;

                    // Nobody knows what it has done, unless the session cannot write.
                    await context.Database.ExecuteSqlAsync($"SELECT 1", Ct);
                    throw new NpgsqlException("The connection broke.", new IOException());
                })
        );

        Assert.NotNull(failure);
        Assert.Equal(expected, tries);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_query_within_a_scope_of_the_application_is_not(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres, NoTrial);
        var (row, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await context.Items.ToListAsync(Ct);
        var tries = 0;

        var failure = async
            ? await Record.ExceptionAsync(() => context.Database.CreateExecutionStrategy().ExecuteAsync(BreakAsync))
            : Record.Exception(() => context.Database.CreateExecutionStrategy().Execute(Break));

        Assert.IsType<NpgsqlException>(failure, exactMatch: false);
        Assert.Equal(1, tries);

        Task BreakAsync() => Task.FromException(Broken());
        void Break() => throw Broken();
        NpgsqlException Broken()
        {
            tries++;
            return new("The connection broke.", new IOException());
        }
    }

    [Fact]
    public async Task Nothing_is_tried_again_for_whoever_has_given_up()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (_, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        using var caller = new CancellationTokenSource();
        var fault = new NpgsqlException("The connection broke.", new IOException());

        // He is told of the fault, and not that he has cancelled.
        var told = await Record.ExceptionAsync(() =>
            context
                .Database.CreateExecutionStrategy()
                .ExecuteAsync(
                    async _ =>
                    {
                        await caller.CancelAsync();
                        throw fault;
                    },
                    caller.Token
                )
        );

        Assert.Same(fault, told);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_query_within_a_transaction_of_the_application_is_not(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres, NoTrial);
        var (row, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var transaction = await context.Database.BeginTransactionAsync(Ct);
        await context.Items.ToListAsync(Ct);
        await app.KillBackendsAsync(row);

        var failure = async
            ? await Record.ExceptionAsync(() => context.Items.SingleAsync(Ct))
            : Record.Exception(() => context.Items.Single());

        Assert.IsType<NpgsqlException>(failure, exactMatch: false);
    }

    [Theory]
    [InlineData(true, "40001")]
    [InlineData(false, "40001")]
    [InlineData(true, "40P01")]
    [InlineData(true, "53200")]
    [InlineData(true, "55P03")]
    public async Task What_the_server_has_rolled_back_is_saved_again(bool async, string state)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (row, tenant) = await WithTenantAsync(app);
        await FailAsync(app, row, tenant, state, times: 3);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Add(new Item { Id = 2, Owner = "acme" });

        _ = async ? await context.SaveChangesAsync(Ct) : context.SaveChanges();

        Assert.Equal(2L, await app.DirectAsync(row, $"SELECT count(*) FROM {tenant.Schema.Quoted}.items"));
    }

    [Fact]
    public async Task It_ends_after_three_more_tries()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (row, tenant) = await WithTenantAsync(app);
        await FailAsync(app, row, tenant, "40001", times: 1_000);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Add(new Item { Id = 2, Owner = "acme" });

        await Assert.ThrowsAsync<RetryLimitExceededException>(() => context.SaveChangesAsync(Ct));

        Assert.Equal(5L, await app.DirectAsync(row, $"SELECT nextval('{tenant.Schema.Quoted}.tries')"));
    }

    [Theory]
    [InlineData("23514")]
    // "Statement completion unknown": of the class of what was rolled back, and it may not have been.
    [InlineData("40003")]
    public async Task A_fault_of_the_statement_is_not_tried_again(string state)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (row, tenant) = await WithTenantAsync(app);
        await FailAsync(app, row, tenant, state, times: 1_000);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Add(new Item { Id = 2, Owner = "acme" });

        await Assert.ThrowsAsync<DbUpdateException>(() => context.SaveChangesAsync(Ct));

        Assert.Equal(2L, await app.DirectAsync(row, $"SELECT nextval('{tenant.Schema.Quoted}.tries')"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_that_nobody_heard_of_is_not_made_twice(bool isUpdate)
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = new RuntimeApp(servers.Postgres, NoTrial);
        var direct = await app.NewDatabaseAsync();
        app.Registry.Set(direct with { Host = proxy.Host, Port = proxy.Port });
        var tenant = await app.AddTenantAsync(direct, "acme");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Items.ToListAsync(Ct);
        proxy.Blackhole(ProxyDirection.ToClient);

        var writing = isUpdate
            ? context.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, i => i.Owner + "+"), Ct)
            : context.Database.ExecuteSqlAsync($"UPDATE items SET owner = owner || '+'", Ct);
        await Eventually.EqualAsync(
            "acme+",
            async () => (string?)await app.DirectAsync(direct, $"SELECT owner FROM {tenant.Schema.Quoted}.items")
        );
        proxy.Cut();
        proxy.Restore();

        await Assert.ThrowsAsync<NpgsqlException>(() => writing);
        Assert.Equal("acme+", (await context.Items.AsNoTracking().SingleAsync(Ct)).Owner);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 4)]
    public async Task What_is_read_after_a_write_does_not_hide_it(bool writes, int expected)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (_, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        var failure = await Record.ExceptionAsync(() =>
            context
                .Database.CreateExecutionStrategy()
                .ExecuteAsync(async () =>
                {
                    tries++;
                    if (writes)
                    {
                        await context.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "acme"), Ct);
                    }

                    await context.Items.CountAsync(Ct);
                    throw new NpgsqlException("The connection broke.", new IOException());
                })
        );

        Assert.NotNull(failure);
        Assert.Equal(expected, tries);
    }

    [Fact]
    public async Task What_is_read_after_a_write_does_not_hide_it_from_who_works_synchronously()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (_, tenant) = await WithTenantAsync(app);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        var failure = Record.Exception(() =>
            context
                .Database.CreateExecutionStrategy()
                .Execute(() =>
                {
                    tries++;
                    context.Items.ExecuteUpdate(set => set.SetProperty(i => i.Owner, "acme"));
                    _ = context.Items.Count();
                    throw new NpgsqlException("The connection broke.", new IOException());
                })
        );

        Assert.NotNull(failure);
        Assert.Equal(1, tries);
    }

    [Fact]
    public async Task Rows_are_streamed_and_not_buffered()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var (row, tenant) = await WithTenantAsync(app);
        await app.DirectAsync(
            row,
            $"INSERT INTO {tenant.Schema.Quoted}.items SELECT i, repeat('x', 1000) FROM generate_series(2, 20000) i"
        );
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var rows = context.Items.AsNoTracking().AsAsyncEnumerable().GetAsyncEnumerator(Ct);
        Assert.True(await rows.MoveNextAsync());

        await app.KillBackendsAsync(row);

        // What was read ahead is handed out first; all of it was not.
        var failure = await Record.ExceptionAsync(async () =>
        {
            while (await rows.MoveNextAsync()) { }
        });
        Assert.IsType<NpgsqlException>(failure, exactMatch: false);
        await rows.DisposeAsync();
    }

    private static async Task<(DatabaseConnection Row, Tenant Tenant)> WithTenantAsync(RuntimeApp app)
    {
        var row = await app.AddDatabaseAsync();
        return (row, await app.AddTenantAsync(row, "acme"));
    }

    /// <summary>Has the first inserts fail; the sequence counts them, and no rollback takes that back.</summary>
    private static Task FailAsync(RuntimeApp app, DatabaseConnection row, Tenant tenant, string state, int times) =>
        app.DirectAsync(
            row,
            $"""
            CREATE SEQUENCE {tenant.Schema.Quoted}.tries;
            CREATE FUNCTION {tenant.Schema.Quoted}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('{tenant.Schema.Quoted}.tries') <= {times} THEN RAISE EXCEPTION 'again' USING ERRCODE = '{state}'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON {tenant.Schema.Quoted}.items FOR EACH ROW EXECUTE FUNCTION {tenant.Schema.Quoted}.fail();
            """
        );
}
