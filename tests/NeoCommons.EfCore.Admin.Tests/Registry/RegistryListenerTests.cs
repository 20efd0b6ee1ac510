using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>Nothing here is found by the periodic refresh, which is an hour away.</summary>
public sealed class RegistryListenerTests(TestServers servers)
{
    private static readonly Dictionary<string, string?> NoRefresh = new()
    {
        ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
        ["DB_ENCRYPTION_KEY"] = TestApp.NewKey(),
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_tenant_that_is_suspended_in_one_process_is_refused_in_the_other(bool byPlainSql)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, settings: NoRefresh);
        using var other = await StartOtherAsync(app);
        var tenant = await app.CreateTenantAsync("acme");
        var shop = other.Services.GetRequiredService<ITenantDbContextFactory<ShopDbContext>>();
        await (await shop.CreateDbContextAsync(tenant.Id, Ct)).DisposeAsync();
        await (await shop.CreateDbContextAsync("acme", Ct)).DisposeAsync();

        if (byPlainSql)
        {
            await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended'");
        }
        else
        {
            await app.Provisioner.SuspendAsync(tenant.Id, "unpaid", Ct);
        }

        await UntilAsync(() => ThrowsAsync<TenantUnavailableException>(() => shop.CreateDbContextAsync(tenant.Id, Ct)));
        await UntilAsync(() => ThrowsAsync<TenantUnavailableException>(() => shop.CreateDbContextAsync("acme", Ct)));
        await UntilAsync(() =>
            ThrowsAsync<TenantUnavailableException>(() => app.Shop.CreateDbContextAsync("acme", Ct))
        );

        await app.Provisioner.ResumeAsync(tenant.Id, Ct);
        await UntilAsync(async () =>
            !await ThrowsAsync<TenantUnavailableException>(() => shop.CreateDbContextAsync("acme", Ct))
        );
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_renamed_slug_is_followed_and_the_old_one_is_gone()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, settings: NoRefresh);
        using var other = await StartOtherAsync(app);
        var tenant = await app.CreateTenantAsync("acme");
        var store = other.Services.GetRequiredService<ITenantStore>();
        Assert.NotNull(await store.FindBySlugAsync("acme", Ct));
        Assert.Null(await store.FindBySlugAsync("globex", Ct));

        await app.Provisioner.RenameAsync(tenant.Id, new() { Slug = "globex" }, Ct);

        await UntilAsync(async () => await store.FindBySlugAsync("acme", Ct) is null);
        await UntilAsync(async () => (await store.FindBySlugAsync("globex", Ct))?.Id == tenant.Id);
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task Other_tenants_stay_in_memory()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, settings: NoRefresh);
        await app.CreateTenantAsync("acme");
        var globex = await app.CreateTenantAsync("globex");
        var store = app.Get<ITenantStore>();
        var initech = await app.CreateTenantAsync("initech");

        // The creations are changes that are heard of, too.
        await app.ReloadAsync();
        var known = await store.FindAsync(globex.Id, Ct);
        await store.FindAsync(initech.Id, Ct);

        await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'initech'");
        await UntilAsync(async () => (await store.FindAsync(initech.Id, Ct))!.Status == TenantStatus.Suspended);

        Assert.Same(known, await store.FindAsync(globex.Id, Ct));
    }

    [Fact]
    public async Task A_changed_connection_takes_effect_at_once()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, settings: NoRefresh);
        var registry = app.Get<IConnectionRegistry>();
        Assert.Equal(20, (await registry.FindAsync("db1", Ct))!.MaxPoolSize);

        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 7");

        await UntilAsync(async () => (await registry.FindAsync("db1", Ct))!.MaxPoolSize == 7);
    }

    [Fact]
    public async Task What_changed_while_the_session_was_lost_is_found_when_it_is_back()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, settings: NoRefresh);
        var tenant = await app.CreateTenantAsync("acme");
        var store = app.Get<ITenantStore>();
        await store.FindAsync(tenant.Id, Ct);

        // In one statement each, so that the listener is gone before the change is committed.
        await app.AdminAsync(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN%';
            UPDATE admin.tenants SET status = 'suspended'
            """
        );

        await UntilAsync(async () => (await store.FindAsync(tenant.Id, Ct))!.Status == TenantStatus.Suspended);
        await app.AdminAsync("UPDATE admin.tenants SET status = 'active'");
        await UntilAsync(async () => (await store.FindAsync(tenant.Id, Ct))!.Status == TenantStatus.Active);
    }

    [Fact]
    public async Task An_outage_of_the_admin_database_is_one_warning_and_its_end_one_line()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var log = new LogRecorder();
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>(NoRefresh)
            {
                ["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(app.AdminConnectionString),
            },
            b => b.Services.AddLogging(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(log))
        );
        await app.AdminAsync("UPDATE admin.database_connections SET is_active = false");
        await host.StartAsync(Ct);
        await Eventually.TrueAsync(() => Lines("Debug 5008").Any());

        foreach (var outage in new[] { 1, 2 })
        {
            proxy.RefuseConnections();
            proxy.Cut();
            await Eventually.TrueAsync(() => Lines("Debug 5015").Count() >= 2 * outage);
            Assert.Equal(outage, Lines("Warning 5009").Count());

            proxy.Restore();
            await Eventually.TrueAsync(() => Lines("Information 5016").Count() == outage);
        }

        await host.StopAsync(Ct);

        IEnumerable<string> Lines(string what) =>
            log.Lines.Where(l => l.Contains($"{nameof(RegistryListener)} {what}: ", StringComparison.Ordinal));
    }

    private async Task<IHost> StartOtherAsync(TestApp app)
    {
        var host = TestApp.BuildHost(
            servers.Postgres,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            NoRefresh,
            b => b.AddTenantDbContext<ShopDbContext>()
        );
        await host.StartAsync(Ct);
        return host;
    }

    private static async Task<bool> ThrowsAsync<TException>(Func<ValueTask<ShopDbContext>> create)
        where TException : Exception
    {
        try
        {
            await (await create()).DisposeAsync();
            return false;
        }
        catch (TException)
        {
            return true;
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (!await holds())
        {
            await Task.Delay(20, limit.Token);
        }
    }
}
