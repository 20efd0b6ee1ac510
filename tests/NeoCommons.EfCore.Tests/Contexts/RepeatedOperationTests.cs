using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>An operation of the application is done again where all of it was rolled back, and never where a part was committed.</summary>
public sealed class RepeatedOperationTests(TestServers servers)
{
    private const int Fails = 3;
    private const int Sleeps = 4;
    private const int EndsAtCommit = 5;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task What_was_committed_before_a_transaction_that_is_rolled_back_is_not_done_twice(
        bool async,
        bool inTransactions
    )
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        var failure = await Record.ExceptionAsync(() =>
            ExecuteAsync(
                context,
                async,
                () =>
                {
                    tries++;
                    Save(context, 2, inTransactions);
                    Save(context, Fails, inTransactions: true);
                }
            )
        );

        Assert.Equal("40001", Assert.IsType<PostgresException>(failure?.InnerException).SqlState);
        Assert.Equal(1, tries);
    }

    [Fact]
    public async Task Nor_is_what_a_save_that_takes_no_transaction_has_sent_before()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            contexts: b => b.AddTenantDbContext<ItemsContext>(o => o.UseNpgsql(n => n.MaxBatchSize(1)))
        );
        var tenant = await FailingAsync(app, times: 1);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Database.AutoTransactionBehavior = AutoTransactionBehavior.Never;
        context.AddRange(new Item { Id = 2, Owner = "acme" }, new Item { Id = Fails, Owner = "acme" });

        // By itself EF has no strategy do it.
        var failure = await Assert.ThrowsAsync<DbUpdateException>(() =>
            ExecuteAsync(context, async: true, () => context.SaveChanges())
        );

        // Sent again, the first one would be there already.
        Assert.Equal("40001", Assert.IsType<PostgresException>(failure.InnerException).SqlState);
    }

    public enum Then
    {
        AnotherContextFails,
        SqlOfTheApplicationFails,
        TheDriversConnectionFails,
    }

    [Theory]
    [InlineData(Then.AnotherContextFails, false)]
    [InlineData(Then.AnotherContextFails, true)]
    [InlineData(Then.SqlOfTheApplicationFails, false)]
    [InlineData(Then.TheDriversConnectionFails, true)]
    [InlineData(Then.TheDriversConnectionFails, false)]
    public async Task Nor_is_what_was_committed_before_something_else_failed(Then then, bool inTransactions)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var other = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        var failure = await Assert.ThrowsAnyAsync<Exception>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    tries++;
                    Save(context, 2, inTransactions);
                    switch (then)
                    {
                        case Then.AnotherContextFails:
                            Save(other, Fails, inTransactions: true);
                            break;
                        case Then.SqlOfTheApplicationFails:
                            context.Database.ExecuteSqlRaw($"INSERT INTO items VALUES ({Fails}, 'acme')");
                            break;
                        default:
                            using (var command = context.Database.GetDbConnection().CreateCommand())
                            {
                                context.Database.OpenConnection();
                                command.CommandText = $"INSERT INTO items VALUES ({Fails}, 'acme')";
                                command.ExecuteNonQuery();
                            }

                            break;
                    }
                }
            )
        );

        Assert.Equal("40001", Assert.IsType<PostgresException>(failure.InnerException ?? failure).SqlState);
        Assert.Equal(1, tries);
    }

    [Fact]
    public async Task Nor_is_what_a_second_try_has_committed()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var other = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        await Assert.ThrowsAsync<DbUpdateException>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    other.ChangeTracker.Clear();
                    if (++tries > 1)
                    {
                        Save(context, 2, inTransactions: false);
                    }

                    Save(other, Fails, inTransactions: true);
                }
            )
        );

        Assert.Equal(2, tries);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nor_is_what_the_application_has_written_on_the_drivers_connection(bool afterTransaction)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        var tries = 0;

        var failure = await Assert.ThrowsAsync<PostgresException>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    tries++;
                    if (afterTransaction)
                    {
                        using var ended = context.Database.BeginTransaction();
                        _ = context.Items.Count();
                    }

                    foreach (var id in new[] { 2, Fails })
                    {
                        using var command = context.Database.GetDbConnection().CreateCommand();
                        command.CommandText = $"INSERT INTO items VALUES ({id}, 'acme')";
                        command.ExecuteNonQuery();
                    }
                }
            )
        );

        Assert.Equal(("40001", 1), (failure.SqlState, tries));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nor_is_what_it_has_written_on_a_drivers_connection_that_it_had_before(bool inTransaction)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        NpgsqlConnection had;
        await using (inTransaction ? await context.Database.BeginTransactionAsync(Ct) : null)
        {
            had = (NpgsqlConnection)context.Database.GetDbConnection();
        }

        var tries = 0;

        await Assert.ThrowsAsync<DbUpdateException>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    tries++;
                    using (var command = had.CreateCommand())
                    {
                        command.CommandText = "INSERT INTO items VALUES (2, 'acme')";
                        command.ExecuteNonQuery();
                    }

                    Save(context, Fails, inTransactions: true);
                }
            )
        );

        Assert.Equal(1, tries);
    }

    [Fact]
    public async Task EFs_own_saves_are_whoever_has_had_the_drivers_connection_before()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 1);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        await using (var command = context.Database.GetDbConnection().CreateCommand())
        {
            command.CommandText = "INSERT INTO items VALUES (2, 'acme')";
            await command.ExecuteNonQueryAsync(Ct);
        }

        Save(context, Fails, inTransactions: false);

        Assert.Equal(3, await context.Items.CountAsync(Ct));
    }

    [Fact]
    public async Task Nor_is_what_was_cancelled_and_may_have_been_done()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var other = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        await Assert.ThrowsAsync<DbUpdateException>(() =>
            context
                .Database.CreateExecutionStrategy()
                .ExecuteAsync(async () =>
                {
                    tries++;
                    context.Add(new Item { Id = Sleeps, Owner = "acme" });
                    using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(() => context.SaveChangesAsync(soon.Token));
                    Save(other, Fails, inTransactions: true);
                })
        );

        Assert.Equal(1, tries);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task What_became_of_a_commit_whose_answer_was_lost_is_asked_of_the_application(bool async, bool isDone)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 2);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var strategy = context.Database.CreateExecutionStrategy();
        var (tries, asked) = (0, 0);

        if (async)
        {
            await strategy.ExecuteInTransactionAsync(() => Task.Run(Work, Ct), () => Task.Run(IsDone, Ct));
        }
        else
        {
            strategy.ExecuteInTransaction(Work, IsDone);
        }

        Assert.Equal(isDone ? (1, 1) : (3, 2), (tries, asked));
        Assert.Equal(isDone ? 1 : 2, await context.Items.CountAsync(Ct));

        void Work()
        {
            tries++;
            context.ChangeTracker.Clear();
            context.Add(new Item { Id = EndsAtCommit, Owner = "acme" });
            context.SaveChanges();
        }

        bool IsDone()
        {
            asked++;
            return isDone;
        }
    }

    [Fact]
    public async Task Nothing_is_begun_again_after_such_a_commit_where_nobody_can_tell()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 1);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        await Assert.ThrowsAsync<PostgresException>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    tries++;
                    Save(context, EndsAtCommit, inTransactions: true);
                }
            )
        );

        Assert.Equal(1, tries);
    }

    [Fact]
    public async Task Nor_is_SQL_of_the_application_that_commits_by_itself()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        await Assert.ThrowsAsync<PostgresException>(() =>
            ExecuteAsync(
                context,
                async: true,
                () =>
                {
                    tries++;
                    context.Database.ExecuteSqlRaw(
                        $"INSERT INTO items VALUES (2, 'acme'); COMMIT; INSERT INTO items VALUES ({Fails}, 'acme')"
                    );
                }
            )
        );

        Assert.Equal(1, tries);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task All_of_a_transaction_that_was_rolled_back_is(bool async)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingAsync(app, times: 2);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var tries = 0;

        await ExecuteAsync(
            context,
            async,
            () =>
            {
                tries++;
                context.ChangeTracker.Clear();
                using var transaction = context.Database.BeginTransaction();
                Save(context, 2, inTransactions: false);
                context.Database.ExecuteSqlRaw("UPDATE items SET owner = 'acme'");
                Save(context, Fails, inTransactions: false);
                transaction.Commit();
            }
        );

        Assert.Equal((3, 3), (tries, await context.Items.CountAsync(Ct)));
    }

    private static async Task ExecuteAsync(DbContext context, bool async, Action work)
    {
        var strategy = context.Database.CreateExecutionStrategy();
        if (!async)
        {
            strategy.Execute(work);
            return;
        }

        await strategy.ExecuteAsync(() =>
        {
            work();
            return Task.CompletedTask;
        });
    }

    private static void Save(ItemsContext context, int id, bool inTransactions)
    {
        using var transaction = inTransactions ? context.Database.BeginTransaction() : null;
        context.Add(new Item { Id = id, Owner = "acme" });
        context.SaveChanges();
        transaction?.Commit();
    }

    /// <summary>
    /// Has the first inserts of one row fail as if another transaction were in their way, those of another sleep, and the first
    /// sessions that commit a third one end.
    /// </summary>
    private static async Task<Tenant> FailingAsync(RuntimeApp app, int times)
    {
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var schema = tenant.Schema.Quoted;
        await app.DirectAsync(
            row,
            $"""
            CREATE SEQUENCE {schema}.tries;
            CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.id = {Fails} AND nextval('{schema}.tries') <= {times} THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
                IF NEW.id = {Sleeps} THEN PERFORM pg_sleep(60); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON {schema}.items FOR EACH ROW EXECUTE FUNCTION {schema}.fail();
            CREATE FUNCTION {schema}.end_session() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.id = {EndsAtCommit} AND nextval('{schema}.tries') <= {times} THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER end_session AFTER INSERT ON {schema}.items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION {schema}.end_session();
            """
        );
        return tenant;
    }
}
