using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Contexts;
using NeoCommons.EfCore.Admin.Tests.Provisioning;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public sealed class TenantRoleRunTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_run_that_only_looks_after_roles_keeps_no_tenant_waiting()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false, settings: TenantRoles.Settings());
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.DirectAsync("home", $"REVOKE SELECT ON tenant_acme.\"Orders\" FROM {TenantRoles.NameOf(acme.Id)}");
        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        await using var holder = new NpgsqlConnection(
            servers.Postgres.GetConnectionString(database) + ";Pooling=false"
        );
        await holder.OpenAsync(Ct);
        await using (
            var hold = new NpgsqlCommand(
                "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_acme', 0))",
                holder
            )
        )
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        var run = Task.Run(() => app.MigrateAllAsync(), Ct);
        while (await app.AdminAsync("SELECT state FROM admin.tenant_migrations") is not "running")
        {
            Assert.False(run.IsCompleted);
            await Task.Delay(20, Ct);
        }

        Assert.Equal(DBNull.Value, await app.AdminAsync("SELECT migrating_until FROM admin.tenants"));
        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await shop.Products.CountAsync(Ct));
        await holder.CloseAsync();
        Assert.All(await run, r => Assert.Null(r.Error));
        Assert.Equal(0, await shop.Orders.CountAsync(Ct));
    }
}
