using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>One model for all tenants, or with ModelPerSchema one for each: counted, and shown to be the right one.</summary>
public sealed class ModelPerSchemaTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SchemaBinding.SearchPath, false)]
    [InlineData(SchemaBinding.SearchPath, true)]
    [InlineData(SchemaBinding.QualifiedNames, false)]
    [InlineData(SchemaBinding.QualifiedNames, true)]
    public async Task Without_it_a_thousand_tenants_have_one_model(SchemaBinding binding, bool isPooled)
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                _ = isPooled
                    ? b.AddPooledTenantDbContext<OneModelContext>(o => o.UseSchemaBinding(binding))
                    : b.AddTenantDbContext<OneModelContext>(o => o.UseSchemaBinding(binding))
        );
        await PartsApp.AddRowsAsync(app, 1_000);
        var tenants = await PartsApp.ListAsync(app);
        var factory = app.Get<ITenantDbContextFactory<OneModelContext>>();
        var before = OneModelContext.ModelsBuilt;
        var models = new HashSet<IModel>(ReferenceEqualityComparer.Instance);
        foreach (var tenant in tenants)
        {
            await using var context = await factory.CreateDbContextAsync(tenant.Id, Ct);
            models.Add(context.Model);
        }

        Assert.Equal(1_000, tenants.Count);
        Assert.Single(models);

        // None where EF has it from an application before.
        Assert.InRange(OneModelContext.ModelsBuilt - before, 0, 1);
    }

    [Fact]
    public async Task Two_hundred_tenants_have_two_hundred_models_and_nothing_is_built_or_compiled_twice()
    {
        var compiled = new Compilations();
        await using var app = await PartsApp.StartAsync(servers.Postgres, options: o => o.AddInterceptors(compiled));
        var tenants = await app.AddTenantsAsync(200);
        var models = new HashSet<IModel>(ReferenceEqualityComparer.Instance);
        for (var round = 1; round <= 2; round++)
        {
            foreach (var tenant in tenants)
            {
                await using var parts = await app.Parts.CreateDbContextAsync(tenant.Id, Ct);
                models.Add(parts.Model);

                // Six hundred queries: EF's own cache holds five hundred.
                Assert.Equal(tenant.Slug, (await parts.Parts.SingleAsync(Ct)).Name);
                Assert.Equal(1, await parts.Parts.CountAsync(p => p.Name == tenant.Slug, Ct));
                Assert.Equal([tenant.Slug], await parts.Parts.Select(p => p.Name).ToListAsync(Ct));
                Assert.Equal(1, PartsContext.ModelsBuilt(tenant));
            }

            Assert.Equal(200, models.Count);
            Assert.Equal(600, compiled.Count);
        }
    }

    [Fact]
    public async Task Past_the_size_of_the_cache_a_model_is_built_again_and_is_the_right_one()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres, cachedModels: 2);
        var tenants = await app.AddTenantsAsync(3);
        async Task<int> UseAsync(int tenant)
        {
            await using var parts = await app.Parts.CreateDbContextAsync(tenants[tenant].Id, Ct);
            Assert.Equal(tenants[tenant].Slug, (await parts.Parts.SingleAsync(Ct)).Name);
            return PartsContext.ModelsBuilt(tenants[tenant]);
        }

        Assert.Equal(1, await UseAsync(0));
        Assert.Equal(1, await UseAsync(1));
        Assert.Equal(1, await UseAsync(0));

        // Takes the place of the second, which was used before the first.
        Assert.Equal(1, await UseAsync(2));
        Assert.Equal(1, await UseAsync(0));
        Assert.Equal(2, await UseAsync(1));
        for (var round = 0; round < 3; round++)
        {
            for (var tenant = 0; tenant < 3; tenant++)
            {
                await UseAsync(tenant);
            }
        }
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task Each_tenant_reads_and_writes_the_columns_of_its_own_model(SchemaBinding binding)
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres, binding);
        foreach (var slug in new[] { "acme", "globex", "own" })
        {
            // Migrations make what the model without a tenant has.
            await app.App.CreateTenantAsync(slug);
        }

        await app.App.DirectAsync("db1", "ALTER TABLE tenant_acme.parts ADD color text NOT NULL");
        foreach (var slug in new[] { "acme", "globex", "own", "acme" })
        {
            await using var parts = await app.Parts.CreateDbContextAsync(slug, Ct);
            parts.Parts.Add(new Part { Name = slug, Color = "red" });
            await parts.SaveChangesAsync(Ct);
        }

        foreach (var slug in new[] { "own", "globex", "acme" })
        {
            await using var parts = await app.Parts.CreateReadOnlyDbContextAsync((await app.TenantAsync(slug)).Id, Ct);
            var read = await parts.Parts.OrderBy(p => p.Id).ToListAsync(Ct);
            Assert.Equal(slug == "acme" ? 2 : 1, read.Count);
            Assert.All(read, part => Assert.Equal((slug, slug == "acme" ? "red" : null), (part.Name, part.Color)));
            Assert.Equal(slug, parts.Database.FindTenant()!.Slug);
        }

        Assert.Equal(
            0L,
            await app.App.DirectAsync("db1", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        );
    }

    [Fact]
    public async Task Tenants_with_the_same_schema_in_two_databases_have_two_models()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres, databases: 2);
        await app.App.AdminAsync(
            """
            INSERT INTO admin.tenants (slug, name, schema_name, connection_id)
            SELECT CASE connection_name WHEN 'db1' THEN 'acme' ELSE 'globex' END, 'x', 'tenant_same', id
            FROM admin.database_connections
            """
        );
        await app.App.DirectAsync(
            "db1",
            "CREATE SCHEMA tenant_same CREATE TABLE parts (\"Id\" int, \"Name\" text, color text)"
        );
        await app.App.DirectAsync("db1", "INSERT INTO tenant_same.parts VALUES (1, 'acme', 'red')");
        await app.App.DirectAsync("db2", "CREATE SCHEMA tenant_same CREATE TABLE parts (\"Id\" int, \"Name\" text)");
        await app.App.DirectAsync("db2", "INSERT INTO tenant_same.parts VALUES (1, 'globex')");
        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var parts = await app.Parts.CreateDbContextAsync(slug, Ct);
            var read = await parts.Parts.SingleAsync(Ct);
            Assert.Equal((slug, slug == "acme" ? "red" : null), (read.Name, read.Color));
        }
    }

    [Fact]
    public async Task A_tenant_whose_row_has_changed_gets_a_model_of_the_new_row()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres);
        await app.App.CreateTenantAsync("globex");
        await using (var parts = await app.Parts.CreateDbContextAsync("globex", Ct))
        {
            Assert.Null(parts.Model.FindEntityType(typeof(Part))!.FindProperty("Color"));
        }

        await app.App.AdminAsync("UPDATE admin.tenants SET slug = 'acme'");
        await app.App.ReloadAsync();
        await using (var parts = await app.Parts.CreateDbContextAsync("acme", Ct))
        {
            Assert.NotNull(parts.Model.FindEntityType(typeof(Part))!.FindProperty("Color"));
        }
    }
}

public class OneModelContext(DbContextOptions<OneModelContext> options) : DbContext(options)
{
    private static int _modelsBuilt;

    public static int ModelsBuilt => Volatile.Read(ref _modelsBuilt);

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        Interlocked.Increment(ref _modelsBuilt);
        modelBuilder.Entity<Thing>();
    }
}
