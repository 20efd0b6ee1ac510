using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;
using static NeoCommons.EfCore.Tests.Contexts.FailingItems;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>What is written on the driver's connection is not seen, and so an operation that may have done that is not done again.</summary>
public sealed class DriversConnectionTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public enum Taken
    {
        EachTime,
        AfterTransaction,
        InTransactionThatHasEnded,
    }

    [Theory]
    [InlineData(Taken.EachTime)]
    [InlineData(Taken.AfterTransaction)]
    [InlineData(Taken.InTransactionThatHasEnded)]
    public async Task What_the_application_has_written_on_it_is_not_done_twice(Taken taken)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 100);
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
                    DbConnection? had = null;
                    if (taken != Taken.EachTime)
                    {
                        using var ended = context.Database.BeginTransaction();
                        _ = context.Items.Count();
                        had = taken == Taken.InTransactionThatHasEnded ? context.Database.GetDbConnection() : null;
                    }

                    foreach (var id in new[] { 2, Fails })
                    {
                        using var command = (had ?? context.Database.GetDbConnection()).CreateCommand();
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
    public async Task Nor_is_what_it_has_written_on_one_that_it_had_before(bool inTransaction)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 100);
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
    public async Task EFs_own_saves_are_done_again_whoever_has_had_it()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var tenant = await FailingItems.AddAsync(app, times: 1);
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
}
