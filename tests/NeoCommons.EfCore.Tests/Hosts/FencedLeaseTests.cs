using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A connection that was open before its primary was replaced writes no more.</summary>
public sealed class FencedLeaseTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public enum Held
    {
        ByTenant,
        ByNobody,
        OfDataSource,
        UnderAnotherName,
        OfEarlierPool,
        ByContextOfSharedTables,
    }

    [Theory]
    [InlineData(Held.ByTenant)]
    [InlineData(Held.ByNobody)]
    [InlineData(Held.OfDataSource)]
    [InlineData(Held.UnderAnotherName)]
    [InlineData(Held.OfEarlierPool)]
    [InlineData(Held.ByContextOfSharedTables)]
    public async Task Whichever_session_nobody_asks_before_it_writes_is_ended(Held held)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = "00:00:00" },
            contexts: b => b.AddTenantDbContext<ItemsContext>().AddSharedDbContext<NothingContext>()
        );
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var shared =
            held == Held.ByContextOfSharedTables
                ? await app
                    .Services.GetRequiredService<ISharedDbContextFactory<NothingContext>>()
                    .CreateDbContextAsync(row.Name, Ct)
                : null;
        await using var raw = await OpenAsync();
        await InsertAsync(2);
        if (held == Held.UnderAnotherName)
        {
            await ExecuteAsync("SET application_name = 'import'");
        }

        if (held == Held.OfEarlierPool)
        {
            var earlier = await app.AcquireAsync(row.Name);
            app.Registry.Set(row with { MaxPoolSize = row.MaxPoolSize + 1 });
            await Eventually.TrueAsync(async () => !ReferenceEquals(earlier, await app.AcquireAsync(row.Name)));
            await earlier.Life.WhenOver;
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal(2, await context.Items.CountAsync(Ct));
        }

        await pair.CatchUpAsync();
        await pair.Standby.PromoteAsync(Ct);
        var id = 100;
        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => InsertAsync(id++)) is NpgsqlException);

        // And the next one leads to the new primary.
        await using var next = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        Assert.Equal(pair.Standby.Port, next.Port);

        async Task<NpgsqlConnection> OpenAsync()
        {
            switch (held)
            {
                case Held.ByNobody:
                    return await app.Connections.OpenConnectionAsync(row.Name, Ct);
                case Held.OfDataSource:
                    // The first one is what it was tried with before it was handed out.
                    var source = await app.Connections.GetDataSourceAsync(row.Name, Ct);
                    await using (await source.OpenConnectionAsync(Ct))
                    {
                        return await source.OpenConnectionAsync(Ct);
                    }

                case Held.ByContextOfSharedTables:
                    await shared!.Database.OpenConnectionAsync(Ct);
                    return (NpgsqlConnection)shared.Database.GetDbConnection();
                default:
                    return await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            }
        }

        Task InsertAsync(int id) => ExecuteAsync($"INSERT INTO {tenant.Schema.Quoted}.items VALUES ({id}, 'acme')");

        async Task ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, raw);
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

        // By itself, or since the server has ended the session: whichever comes first. RevokedRightsTests has the first alone.
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

    private sealed class NothingContext(DbContextOptions<NothingContext> options) : DbContext(options);
}
