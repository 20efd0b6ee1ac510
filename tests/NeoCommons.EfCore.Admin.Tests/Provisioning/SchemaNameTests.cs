using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>What was bound to a tenant by its schema's name finds that tenant or nobody, however late it comes.</summary>
public sealed class SchemaNameTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("rename")]
    [InlineData("delete")]
    public async Task A_schemas_name_never_becomes_another_tenants(string how)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        await using var open = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await open.Products.CountAsync(Ct));
        if (how == "rename")
        {
            await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "old-acme", RenameSchema = true }, Ct);
        }
        else
        {
            await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
            await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);
        }

        var second = await app.CreateTenantAsync("acme", "home");
        await using (var shop = await app.Shop.CreateDbContextAsync(second.Id, Ct))
        {
            Assert.Equal(0, await shop.Products.CountAsync(Ct));
        }

        Assert.StartsWith("tenant_acme_", second.Schema.Value, StringComparison.Ordinal);
        var lost = await Assert.ThrowsAsync<PostgresException>(() => open.Products.CountAsync(Ct));
        Assert.Equal(PostgresErrorCodes.UndefinedTable, lost.SqlState);
    }

    [Fact]
    public async Task A_renamed_schema_never_gets_a_name_that_was_another_tenants()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        var acme = await app.CreateTenantAsync("acme", "home");
        var globex = await app.CreateTenantAsync("globex", "home");
        await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "old", RenameSchema = true }, Ct);

        var renamed = await app.Provisioner.RenameAsync(globex.Id, new() { Slug = "acme", RenameSchema = true }, Ct);
        var end = globex.Id.Value.ToString("N")[^12..];
        Assert.Equal("tenant_acme_" + end, renamed.Schema.Value);

        // Its own former name is free for it, and the name with the end of its id is for it alone.
        await app.Provisioner.RenameAsync(globex.Id, new() { Slug = "globex", RenameSchema = true }, Ct);
        Assert.Equal(
            "tenant_globex",
            await app.AdminAsync("SELECT schema_name FROM admin.tenants WHERE slug = 'globex'")
        );
        var taken = await Assert.ThrowsAsync<TenantConflictException>(() =>
            app.Provisioner.CreateAsync(
                new()
                {
                    Slug = "acme",
                    Name = "n",
                    ConnectionName = "home",
                    Id = new TenantId(Guid.Parse($"00000000-0000-0000-0000-{end}")),
                },
                Ct
            )
        );
        Assert.Contains("never given again", taken.Message);
    }
}
