namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>A row that cannot be read harms no other.</summary>
public sealed class OddRowTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_with_a_date_that_dotnet_cannot_hold_is_read_like_any_other()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync(
            "UPDATE admin.database_connections SET created_at = '20000-01-01' WHERE connection_name = 'db2'"
        );
        await app.ReloadAsync();
        Assert.Equal(["db1", "db2"], (await app.Get<IConnectionRegistry>().ListAsync(Ct)).Select(r => r.Name));
    }

    [Fact]
    public async Task A_tenant_with_a_date_that_dotnet_cannot_hold_is_read_like_any_other()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        await app.CreateTenantAsync("globex");
        await app.AdminAsync("UPDATE admin.tenants SET created_at = '0044-03-15 BC' WHERE slug = 'acme'");
        await app.ReloadAsync();
        Assert.Equal(2, (await app.MigrateAllAsync()).Count);
    }

    [Fact]
    public async Task A_connection_with_a_word_that_is_not_known_here_stays_as_it_was_or_is_not_registered()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync("ALTER TABLE admin.database_connections DROP CONSTRAINT ck_database_connections_pooler");
        await app.AdminAsync("UPDATE admin.database_connections SET pooler = 'later' WHERE connection_name = 'db1'");
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 7 WHERE connection_name = 'db2'");
        await app.AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, database_name, username, encrypted_password, pooler) "
                + "VALUES ('db3', 'elsewhere', 'd', 'u', 'x', 'later')"
        );

        await app.ReloadAsync();

        var registry = app.Get<IConnectionRegistry>();
        Assert.NotNull(await registry.FindAsync("db1", Ct));
        Assert.Equal(7, (await registry.FindAsync("db2", Ct))!.MaxPoolSize);
        Assert.Null(await registry.FindAsync("db3", Ct));
    }

    [Fact]
    public async Task A_tenant_with_a_word_that_is_not_known_here_is_left_out_of_the_list_and_fails_alone()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        foreach (var slug in new[] { "acme", "globex", "initech" })
        {
            await app.CreateTenantAsync(slug);
        }

        await app.AdminAsync("ALTER TABLE admin.tenants DROP CONSTRAINT ck_tenants_status");
        await app.AdminAsync("UPDATE admin.tenants SET status = 'later' WHERE slug = 'globex'");

        var tenants = app.Get<ITenantStore>();
        Assert.Equal(["acme", "initech"], await tenants.ListAsync(Ct).Select(t => t.Slug).ToListAsync(Ct));
        Assert.NotNull(await tenants.FindBySlugAsync("acme", Ct));
        await Assert.ThrowsAnyAsync<Exception>(async () => await tenants.FindBySlugAsync("globex", Ct));
    }
}
