using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

public sealed class CanaryTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_log_at_trace_and_no_exception_holds_a_password()
    {
        var lines = new LogRecorder();
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.Services.AddSingleton<ILoggerProvider>(lines);
                b.Services.Configure<LoggerFilterOptions>(o => o.MinLevel = LogLevel.Trace);
                b.AddTenantDbContext<ShopDbContext>(o => o.EnableSensitiveDataLogging().EnableDetailedErrors());
            }
        );
        const string canary = "canary-9f2c";
        var token = await TestApp.PlainTokenAsync(app.Services, canary);
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "wrong",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct),
            r => r.EncryptedPassword = token
        );
        await app.ReloadAsync();
        await app.CreateTenantAsync("acme");
        var e = await Record.ExceptionAsync(() => app.CreateTenantAsync("globex", "wrong"));
        Assert.NotNull(e);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        _ = await shop.Products.ToListAsync(Ct);
        await Record.ExceptionAsync(async () => await app.Databases.OpenConnectionAsync("wrong", Ct));
        var all = string.Join('\n', lines.Lines) + e;
        Assert.True(lines.Lines.Count > 50);
        Assert.DoesNotContain(canary, all);
        Assert.DoesNotContain(servers.Postgres.Password, all);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_creation_cancelled_at_any_moment_can_be_repeated(bool atOnce)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        if (atOnce)
        {
            await TestApp.RegisterAsync(
                app.Services,
                servers.Postgres,
                "same",
                new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!
            );
            await app.ReloadAsync();
        }

        var connection = atOnce ? "same" : "db1";
        var cancelled = 0;
        for (var i = 0; i < 40; i++)
        {
            var slug = $"t{i:00}";
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(i * 2));
            var e = await Record.ExceptionAsync(() =>
                app.Provisioner.CreateAsync(
                    new NewTenant
                    {
                        Slug = slug,
                        Name = slug,
                        ConnectionName = connection,
                    },
                    cancel.Token
                )
            );
            if (e is not null)
            {
                cancelled++;
                var again = await Record.ExceptionAsync(() => app.CreateTenantAsync(slug, connection));
                Assert.True(again is null || again.Message.Contains("is active"), $"{i}: {e.Message} / {again}");
            }

            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Empty(await shop.Products.ToListAsync(Ct));
        }

        Assert.True(cancelled > 3, $"{cancelled} cancelled");
    }
}
