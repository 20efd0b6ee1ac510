using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>A model that names a schema would make every tenant read and write the same tables.</summary>
public sealed class TenantModelTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_default_schema_is_refused() => AssertRefusedAsync<DefaultSchemaContext>("public");

    [Fact]
    public async Task HiLo_is_refused()
    {
        await using var app = await StartAsync<HiLoContext>();

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await app.Get<ITenantDbContextFactory<HiLoContext>>().CreateDbContextAsync("acme", Ct)
        );
        Assert.Contains("Thing.Id of HiLoContext", refused.Message);
        Assert.Contains("UseIdentityByDefaultColumn", refused.Message);
    }

    [Fact]
    public Task A_tables_schema_is_refused() => AssertRefusedAsync<TableSchemaContext>("elsewhere");

    [Fact]
    public Task A_stored_procedures_schema_is_refused() => AssertRefusedAsync<ProcedureContext>("tenant_globex");

    [Fact]
    public Task A_schema_that_a_convention_of_the_application_sets_last_is_refused() =>
        AssertRefusedAsync<LateSchemaContext>("tenant_globex");

    [Fact]
    public async Task A_prebuilt_model_that_names_public_is_not_read()
    {
        var plain = new DbContextOptionsBuilder<DefaultSchemaContext>().UseNpgsql("Host=x").Options;
        await using var builder = new DefaultSchemaContext(plain);
        var model = builder.Model;
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<DefaultSchemaContext>(o => o.UseModel(model))
        );
        await app.DirectAsync("db1", "CREATE TABLE public.\"Things\" (\"Id\" int PRIMARY KEY)");
        await app.DirectAsync("db1", "INSERT INTO public.\"Things\" VALUES (666)");
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        List<Thing> read = [];
        try
        {
            await using var context = await app.Get<ITenantDbContextFactory<DefaultSchemaContext>>()
                .CreateDbContextAsync("acme", Ct);
            read = await context.Things.ToListAsync(Ct);
        }
        catch (InvalidOperationException) { }

        Assert.Empty(read);
    }

    [Fact]
    public async Task Each_application_has_shared_schemas_of_its_own()
    {
        await using var permissive = await StartAsync<ElsewhereContext>(
            new Dictionary<string, string?> { ["NeoCommons:Connections:SharedSchemas:0"] = "elsewhere2" }
        );
        await using (await permissive.Get<ITenantDbContextFactory<ElsewhereContext>>().CreateDbContextAsync("acme", Ct))
        {
            // It may name the schema.
        }

        await AssertRefusedAsync<ElsewhereContext>("elsewhere2");
    }

    private async Task AssertRefusedAsync<TContext>(string schema)
        where TContext : DbContext
    {
        await using var app = await StartAsync<TContext>();
        var factory = app.Get<ITenantDbContextFactory<TContext>>();

        // Twice: what is refused once is not let through the next time.
        for (var i = 0; i < 2; i++)
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
                await factory.CreateDbContextAsync("acme", Ct)
            );
            Assert.Contains($"'{schema}'", refused.Message);
        }
    }

    private async Task<TestApp> StartAsync<TContext>(IReadOnlyDictionary<string, string?>? settings = null)
        where TContext : DbContext
    {
        var app = await TestApp.StartAsync(
            servers.Postgres,
            settings: settings,
            configure: b => b.AddTenantDbContext<TContext>()
        );
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        return app;
    }
}
