using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

public sealed class RegistryTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_row_that_cannot_be_decrypted_makes_that_connection_unavailable_and_no_other()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        var acme = await app.CreateTenantAsync("acme", "db1");
        var globex = await app.CreateTenantAsync("globex", "db2");

        await app.AdminAsync(
            "UPDATE admin.database_connections SET encrypted_password = overlay(encrypted_password placing 'AAAA' from 60) "
                + "WHERE connection_name = 'db1'"
        );
        await app.ReloadAsync();

        var refused = await Assert.ThrowsAsync<SecretDecryptionException>(async () =>
            await app.Shop.CreateDbContextAsync(acme.Id, Ct)
        );
        Assert.Equal("db1", refused.ConnectionName);
        await using var shop = await app.Shop.CreateDbContextAsync(globex.Id, Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));
    }

    [Theory]
    [InlineData(null, "DB_ENCRYPTION_KEY is not set")]
    [InlineData("short", "DB_ENCRYPTION_KEY: key 1")]
    public async Task A_missing_or_short_key_stops_the_start_and_says_what_to_set(string? key, string message)
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            database,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = key }
        );

        var stopped = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));

        Assert.Contains(message, stopped.Message);
    }

    [Fact]
    public async Task Address_and_key_are_both_named_where_both_are_wrong()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            database,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = "", ["ADMIN_DATABASE_URL"] = "mysql://x" }
        );

        var stopped = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));

        Assert.Contains("ADMIN_DATABASE_URL", stopped.Message);
        Assert.Contains("DB_ENCRYPTION_KEY", stopped.Message);
    }

    [Fact]
    public async Task A_key_that_reads_no_password_stops_the_start()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        var admin = new Npgsql.NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!;
        var other = TestApp.NewKey();
        using var host = TestApp.BuildHost(
            servers.Postgres,
            admin,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = other }
        );

        var stopped = await Assert.ThrowsAsync<SecretDecryptionException>(() => host.StartAsync(Ct));

        Assert.Contains("DB_ENCRYPTION_KEY", stopped.Message);
        Assert.Contains("2 encrypted", stopped.Message);
        Assert.DoesNotContain(other, stopped.Message);
    }

    [Fact]
    public async Task A_password_that_is_no_token_is_no_proof_of_a_wrong_key()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 1);
        await app.AdminAsync("UPDATE admin.database_connections SET encrypted_password = 'encrypted_password_here'");
        var admin = new Npgsql.NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!;
        using var host = TestApp.BuildHost(servers.Postgres, admin);

        await host.StartAsync(Ct);

        var row = await host.Services.GetRequiredService<IConnectionRegistry>().FindAsync("db1", Ct);
        Assert.Throws<SecretDecryptionException>(() => row!.Password.Reveal());
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task A_reload_takes_changed_rows_and_keeps_the_others_as_they_are()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        var registry = app.Get<IConnectionRegistry>();
        var (one, two) = (await registry.FindAsync("db1", Ct), await registry.FindAsync("db2", Ct));

        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 7 WHERE connection_name = 'db1'");
        await app.AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, database_name, username, encrypted_password) "
                + "VALUES ('db3', 'elsewhere', 'd', 'u', 'x')"
        );
        await app.ReloadAsync();

        Assert.Equal(7, (await registry.FindAsync("db1", Ct))!.MaxPoolSize);
        Assert.NotSame(one, await registry.FindAsync("db1", Ct));
        Assert.Same(two, await registry.FindAsync("db2", Ct));
        Assert.Equal(["db1", "db2", "db3"], (await registry.ListAsync(Ct)).Select(r => r.Name));
        await app.AdminAsync("DELETE FROM admin.database_connections WHERE connection_name = 'db3'");
        await app.ReloadAsync();
        Assert.Null(await registry.FindAsync("db3", Ct));
    }

    [Fact]
    public async Task A_failed_reload_leaves_what_was_known_and_known_tenants_go_on()
    {
        await using var server = await Testing.PostgresServer.StartAsync(ct: Ct);
        await using var app = await TestApp.StartAsync(server, databases: 0);
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "elsewhere",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await app.ReloadAsync();
        var tenant = await app.CreateTenantAsync("acme", "elsewhere");

        // The creation is a change that is heard of, too: from here on nothing is.
        await app.ReloadAsync();
        await using (var shop = await app.Shop.CreateDbContextAsync(tenant.Id, Ct))
        {
            Assert.Empty(await shop.Products.ToListAsync(Ct));
        }

        await server.StopAsync(immediate: true, ct: Ct);

        await Assert.ThrowsAsync<ConnectionUnavailableException>(app.ReloadAsync);
        await using (var shop = await app.Shop.CreateDbContextAsync(tenant.Id, Ct))
        {
            Assert.Empty(await shop.Products.ToListAsync(Ct));
        }

        // "Could not look" is not "not found".
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Shop.CreateDbContextAsync("nobody", Ct)
        );
    }

    [Fact]
    public async Task An_application_starts_before_its_admin_database_and_finds_it_later()
    {
        await using var server = await Testing.PostgresServer.StartAsync(ct: Ct);
        string admin;
        string key;
        await using (var first = await TestApp.StartAsync(server, databases: 1))
        {
            first.KeepsDatabases = true;
            await first.CreateTenantAsync("acme");
            admin = new Npgsql.NpgsqlConnectionStringBuilder(first.AdminConnectionString).Database!;
            key = first.Get<IOptions<AdminDatabaseOptions>>().Value.EncryptionKey!;
        }

        await server.StopAsync(ct: Ct);
        using var host = TestApp.BuildHost(
            server,
            admin,
            new Dictionary<string, string?> { ["DB_ENCRYPTION_KEY"] = key },
            b => b.AddTenantDbContext<Shop.ShopDbContext>()
        );
        await host.StartAsync(Ct);
        var shops = host.Services.GetRequiredService<ITenantDbContextFactory<Shop.ShopDbContext>>();
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await shops.CreateDbContextAsync("acme", Ct)
        );

        await server.StartAgainAsync(Ct);
        // Somebody else in the process may have been refused a moment ago; that failure is everybody's for a second.
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await using var shop = await shops.CreateDbContextAsync("acme", Ct);
                return (await shop.Products.ToListAsync(Ct)).Count == 0;
            }
            catch (ConnectionUnavailableException)
            {
                return false;
            }
        });
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task Tenants_are_found_by_id_and_slug_listed_in_order_and_read_again_after_a_change()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        var acme = await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        var store = app.Get<ITenantStore>();

        Assert.Equal(acme, await store.FindAsync(acme.Id, Ct));
        Assert.Equal(acme, await store.FindBySlugAsync("acme", Ct));
        Assert.Null(await store.FindBySlugAsync("ACME", Ct));
        Assert.Null(await store.FindAsync(TenantId.New(), Ct));
        Assert.Equal(["acme", "globex"], await store.ListAsync(Ct).Select(t => t.Slug).ToListAsync(Ct));

        await app.AdminAsync("UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'acme'");
        await app.ReloadAsync();

        Assert.Equal(TenantStatus.Suspended, (await store.FindAsync(acme.Id, Ct))!.Status);
    }

    [Fact]
    public async Task All_of_many_tenants_are_listed_each_once()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT s, s, 'tenant_' || s, c.id "
                + "FROM admin.database_connections c, generate_series(1, 1100) n, "
                + "LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 'a-' ELSE 'a_' END || n AS s) x"
        );

        var slugs = await app.Get<ITenantStore>().ListAsync(Ct).Select(t => t.Slug).ToListAsync(Ct);

        Assert.Equal(1100, slugs.Distinct().Count());
        Assert.Equal(1100, slugs.Count);
    }

    [Fact]
    public async Task A_tenant_that_is_asked_for_by_many_at_once_is_loaded_once()
    {
        await using var first = await TestApp.StartAsync(servers.Postgres);
        var acme = await first.CreateTenantAsync("acme");
        await using var proxy = Testing.TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(first.AdminConnectionString),
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00",
            }
        );
        var store = host.Services.GetRequiredService<ITenantStore>();

        // Opens the connection and compiles the query.
        Assert.Null(await store.FindAsync(TenantId.New(), Ct));
        proxy.ResetCounters();
        var found = await Task.WhenAll(
            Enumerable.Range(0, 200).Select(_ => Task.Run(async () => await store.FindAsync(acme.Id, Ct)))
        );

        Assert.All(found, tenant => Assert.Equal(acme, tenant));
        Assert.Equal(1, proxy.Counters.RoundTrips);
    }
}
