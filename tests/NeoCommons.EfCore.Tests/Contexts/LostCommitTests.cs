using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;
using static NeoCommons.EfCore.Tests.Contexts.FailingItems;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>What may have been done counts as done, unless the application says that it was not.</summary>
public sealed class LostCommitTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task What_became_of_a_commit_whose_answer_was_lost_is_asked_of_the_application(bool async, bool isDone)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 2);
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
        var tenant = await FailingItems.AddAsync(app, times: 1);
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
    public async Task What_was_cancelled_and_may_have_been_done_is_not_done_twice()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 100);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var other = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        var row = app.Registry[tenant.ConnectionName];
        var tries = 0;

        await Assert.ThrowsAsync<DbUpdateException>(() =>
            context
                .Database.CreateExecutionStrategy()
                .ExecuteAsync(async () =>
                {
                    tries++;
                    context.Add(new Item { Id = Sleeps, Owner = "acme" });
                    using var cancelling = new CancellationTokenSource();
                    var saving = context.SaveChangesAsync(cancelling.Token);
                    await Eventually.EqualAsync(
                        1L,
                        () =>
                            app.DirectAsync(
                                row,
                                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
                            )
                    );
                    await cancelling.CancelAsync();
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(() => saving);
                    Save(other, Fails, inTransactions: true);
                })
        );

        Assert.Equal(1, tries);
    }
}
