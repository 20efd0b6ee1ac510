using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;
using static NeoCommons.EfCore.Tests.Contexts.FailingItems;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>An operation of the application is done again where all of it was rolled back, and never where a part was committed.</summary>
public sealed class RepeatedOperationTests(TestServers servers)
{
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
        var tenant = await FailingItems.AddAsync(app, times: 100);
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
        var tenant = await FailingItems.AddAsync(app, times: 1);
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
        var tenant = await FailingItems.AddAsync(app, times: 100);
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
        var tenant = await FailingItems.AddAsync(app, times: 100);
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

    [Fact]
    public async Task Nor_is_SQL_of_the_application_that_commits_by_itself()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 100);
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
        var tenant = await FailingItems.AddAsync(app, times: 2);
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
}
