using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A connection that was open before its primary was replaced writes no more.</summary>
public sealed class FencedLeaseTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_drivers_connection_that_a_tenant_has_is_ended()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var raw = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await InsertAsync(2);
        await pair.CatchUpAsync();

        await pair.Standby.PromoteAsync(Ct);
        var id = 100;
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => InsertAsync(id++))
                is PostgresException { SqlState: "57P01" }
                    or NpgsqlException
        );

        // And the next one leads to the new primary.
        await using var next = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        Assert.Equal(pair.Standby.Port, next.Port);

        async Task InsertAsync(int id)
        {
            await using var command = new NpgsqlCommand($"INSERT INTO items VALUES ({id}, 'acme')", raw);
            await command.ExecuteNonQueryAsync(Ct);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_whose_connection_is_open_is_refused_as_soon_as_a_new_primary_is_seen(bool inTransaction)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        await using var transaction = inTransaction ? await context.Database.BeginTransactionAsync(Ct) : null;
        context.Add(new Item { Id = 2, Owner = "acme" });
        await context.SaveChangesAsync(Ct);
        await pair.CatchUpAsync();

        await pair.Standby.PromoteAsync(Ct);
        var source = await app.AcquireAsync(row.Name);
        await Eventually.TrueAsync(() => source.Hosts!.Guard.States[0].Refusal is not null);
        context.Add(new Item { Id = 3, Owner = "acme" });
        var refused = await Record.ExceptionAsync(() => context.SaveChangesAsync(Ct));

        // By itself, or since the server has ended the session: whichever comes first.
        Assert.NotNull(refused);
        Assert.NotNull(await Record.ExceptionAsync(() => context.Database.ExecuteSqlRawAsync("DELETE FROM items", Ct)));
        if (transaction is not null)
        {
            Assert.NotNull(await Record.ExceptionAsync(() => transaction.CommitAsync(Ct)));
        }

        Assert.Equal(
            inTransaction ? 1L : 2L,
            await Pair.ScalarAsync(
                pair.Primary,
                row.Database,
                $"SELECT count(*) FROM {tenant.Schema.Quoted}.items WHERE id <> 3"
            )
        );
        Assert.Equal(
            0L,
            await Pair.ScalarAsync(
                pair.Primary,
                row.Database,
                $"SELECT count(*) FROM {tenant.Schema.Quoted}.items WHERE id = 3"
            )
        );
    }
}
