using System.Transactions;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class TenantReservationTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_scope_of_the_caller_that_is_rolled_back_does_not_split_row_and_schema()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await app.CreateTenantAsync("acme");
        }

        var rows = (long)(await app.AdminAsync("SELECT count(*) FROM admin.tenants"))!;
        var schemas = (long)
            (await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'"))!;
        Assert.Equal((1L, 1L), (rows, schemas));
    }

    [Fact]
    public async Task A_creation_that_is_resumed_never_adopts_foreign_tables()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme CREATE TABLE payroll (secret text)");

        // What a creation leaves that dies between its reservation and its look at the schema.
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id, status) SELECT 'acme', 'a', 'tenant_acme', id, 'provisioning' FROM admin.database_connections"
        );
        await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme"));
        Assert.Equal(
            1L,
            await app.DirectAsync(
                "db1",
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_acme'::regnamespace AND relkind = 'r'"
            )
        );
    }

    [Fact]
    public async Task A_creation_that_is_resumed_takes_over_the_name_and_refuses_another_id()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id, status) SELECT 'acme', 'old name', 'tenant_acme', id, 'provisioning' FROM admin.database_connections"
        );
        var tenant = new NewTenant
        {
            Slug = "acme",
            Name = "new name",
            ConnectionName = "db1",
            RegionId = "eu",
        };

        await Assert.ThrowsAsync<TenantConflictException>(() =>
            app.Provisioner.CreateAsync(tenant with { Id = TenantId.New() }, Ct)
        );
        Assert.Equal("old name", await app.AdminAsync("SELECT name FROM admin.tenants"));

        var made = await app.Provisioner.CreateAsync(tenant, Ct);
        Assert.Equal(("new name", "eu"), (made.Name, made.RegionId));
        Assert.Equal("new name", await app.AdminAsync("SELECT name FROM admin.tenants"));
    }

    [Fact]
    public async Task A_dedicated_database_takes_one_tenant_however_many_ask_at_once()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.AdminAsync("UPDATE admin.database_connections SET connection_type = 'DEDICATED'");
        await app.ReloadAsync();
        await Task.WhenAll(
            Enumerable.Range(0, 6).Select(i => Record.ExceptionAsync(() => app.CreateTenantAsync($"t{i}")).AsTask())
        );
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Fact]
    public async Task A_connection_registered_a_moment_ago_can_take_a_tenant()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:RefreshInterval"] = "01:00:00" }
        );
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "late",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await app.CreateTenantAsync("acme", "late");
    }
}
