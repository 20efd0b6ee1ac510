using System.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Whatever goes wrong while a connection is bound, nothing runs on it unbound.</summary>
public sealed class FailedBindTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_exception_after_the_open_leaves_the_connection_closed_and_the_next_command_binds_again(
        bool async
    )
    {
        var time = new FaultyTime();
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.Services.AddSingleton<TimeProvider>(time);
                b.AddTenantDbContext<ShopDbContext>();
            }
        );
        await app.CreateTenantAsync("acme");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "acme",
                Price = 1,
            }
        );
        await shop.SaveChangesAsync(Ct);

        // The clock is read between the open and the end of the bind.
        time.IsBroken = true;
        await Assert.ThrowsAsync<ArithmeticException>(async () =>
            _ = async ? await shop.Products.AsNoTracking().ToListAsync(Ct) : shop.Products.AsNoTracking().ToList()
        );
        time.IsBroken = false;

        Assert.Equal(ConnectionState.Closed, shop.Database.GetDbConnection().State);
        Assert.Equal(
            "acme",
            (async ? await shop.Products.AsNoTracking().SingleAsync(Ct) : shop.Products.AsNoTracking().Single()).Name
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_bind_that_fails_leaves_the_connection_closed_and_the_next_command_binds_again(bool async)
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = await StartBehindAsync(proxy);
        await app.CreateTenantAsync("acme", "proxied");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "acme",
                Price = 1,
            }
        );
        await shop.SaveChangesAsync(Ct);

        // The connection is in the pool; its next use sends the bind, which does not come through. A query would be made again.
        proxy.Cut();
        var failure = async
            ? await Record.ExceptionAsync(() => shop.Products.Where(p => p.Sku == "2").ExecuteDeleteAsync(Ct))
            : Record.Exception(() => shop.Products.Where(p => p.Sku == "2").ExecuteDelete());

        Assert.NotNull(failure);
        Assert.Equal(ConnectionState.Closed, shop.Database.GetDbConnection().State);
        Assert.Equal("acme", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task A_cancelled_bind_leaves_the_connection_closed_and_the_next_command_binds_again()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = await StartBehindAsync(
            proxy,
            // A bind that travels with the command cannot be cancelled on its own.
            new Dictionary<string, string?> { ["NeoCommons:Connections:BindWithFirstCommand"] = "false" }
        );
        await app.CreateTenantAsync("acme", "proxied");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        shop.Products.Add(
            new Product
            {
                Sku = "1",
                Name = "acme",
                Price = 1,
            }
        );
        await shop.SaveChangesAsync(Ct);

        proxy.Latency = TimeSpan.FromMilliseconds(150);
        using var cancel = new CancellationTokenSource();
        proxy.ResetCounters();
        var query = shop.Products.AsNoTracking().ToListAsync(cancel.Token);
        while (proxy.Counters.BytesToServer == 0)
        {
            await Task.Delay(5, Ct);
        }

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => query);

        Assert.Equal(ConnectionState.Closed, shop.Database.GetDbConnection().State);
        proxy.Latency = TimeSpan.Zero;
        Assert.Equal("acme", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    private async Task<TestApp> StartBehindAsync(
        TcpFaultProxy proxy,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var app = await TestApp.StartAsync(servers.Postgres, databases: 0, settings);
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "proxied",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct),
            row =>
            {
                (row.Host, row.Port) = (proxy.Host, proxy.Port);
                row.PoolPrePing = false;
                row.PoolTimeoutSeconds = 5;
            }
        );
        await app.ReloadAsync();
        return app;
    }

    private sealed class FaultyTime : TimeProvider
    {
        public bool IsBroken { get; set; }

        public override long GetTimestamp() =>
            IsBroken ? throw new ArithmeticException("The clock is broken.") : base.GetTimestamp();
    }
}
