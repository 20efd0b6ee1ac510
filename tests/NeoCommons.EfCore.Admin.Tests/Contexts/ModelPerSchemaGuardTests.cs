using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames.Compiled;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>A model that holds a tenant is that tenant's, or is refused; each time, and with the remedy.</summary>
public sealed class ModelPerSchemaGuardTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public Task Without_it_the_schema_cannot_be_asked_for_in_OnModelCreating() =>
        AssertRefusedAsync<AsksForSchemaContext>("ModelPerSchema()", perSchema: false);

    [Fact]
    public Task Without_it_the_tenant_cannot_be_asked_for_in_OnModelCreating() =>
        AssertRefusedAsync<AsksForTenantContext>("ModelPerSchema()", perSchema: false);

    [Fact]
    public Task Without_it_the_scopes_tenant_cannot_be_asked_for_in_OnModelCreating() =>
        AssertRefusedAsync<AsksScopeContext>("ModelPerSchema()", perSchema: false, inScope: true);

    [Fact]
    public Task Without_it_a_schema_that_was_kept_beforehand_is_refused_though_the_application_has_a_key_for_it() =>
        AssertRefusedAsync<KeepsSchemaContext>(
            "ModelPerSchema()",
            perSchema: false,
            inScope: true,
            options: o => o.ReplaceService<IModelCacheKeyFactory, KeepsSchemaContext.Key>()
        );

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task A_model_may_name_its_tenants_schema_and_no_other_ones(SchemaBinding binding)
    {
        await using var app = await StartAsync<GlobexContext>(o => o.ModelPerSchema().UseSchemaBinding(binding));
        var factory = app.Get<ITenantDbContextFactory<GlobexContext>>();
        for (var i = 0; i < 2; i++)
        {
            await using (await factory.CreateDbContextAsync("globex", Ct)) { }
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
                await factory.CreateDbContextAsync("acme", Ct)
            );
            Assert.Contains(
                "'tenant_globex', in the model of tenant 'acme', whose schema is 'tenant_acme'",
                refused.Message
            );
        }
    }

    [Fact]
    public async Task The_scopes_tenant_serves_the_scopes_contexts_and_no_others()
    {
        await using var app = await StartAsync<AsksScopeContext>(o => o.ModelPerSchema());
        var factory = app.Get<ITenantDbContextFactory<AsksScopeContext>>();
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await factory.CreateDbContextAsync("acme", Ct)
        );
        Assert.Contains("Database.FindTenant()", refused.Message);
        Assert.Equal("things_acme", await TableInScopeAsync<AsksScopeContext>(app, "acme"));
        Assert.Equal("things_globex", await TableInScopeAsync<AsksScopeContext>(app, "globex"));
    }

    // The scope holds its lock while it makes a context, and the constructor asks the scope for more.
    [Fact]
    public async Task A_constructor_gets_services_of_its_scope_also_where_the_tenant_must_be_asked_for()
    {
        await using var app = await StartAsync<AsksScopeContext>(o => o.ModelPerSchema());
        var tenant = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        await using var scope = await app.Services.CreateTenantScopeAsync(tenant.Id, Ct);
        app.Get<TenantCache>().DropAll();

        var table = await Task.Run(() => Table(scope.ServiceProvider.GetRequiredService<AsksScopeContext>()), Ct)
            .WaitAsync(TimeSpan.FromMinutes(1), Ct);

        Assert.Equal("things_acme", table);
    }

    [Fact]
    public async Task A_constructor_that_uses_the_model_gets_the_tenants()
    {
        await using var app = await StartAsync<EarlyContext>(o => o.ModelPerSchema());
        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var context = await app.Get<ITenantDbContextFactory<EarlyContext>>()
                .CreateDbContextAsync(slug, Ct);
            Assert.Equal("things_" + slug, Table(context));
            Assert.Equal("things_" + slug, await TableInScopeAsync<EarlyContext>(app, slug));
            Assert.Equal(
                "things_" + slug,
                context.GetService<IDesignTimeModel>().Model.FindEntityType(typeof(Thing))!.GetTableName()
            );
        }
    }

    [Fact]
    public async Task A_constructor_that_passes_on_another_tenants_options_is_refused()
    {
        await using var app = await StartAsync<FirstOptionsContext>(o => o.ModelPerSchema());
        var factory = app.Get<ITenantDbContextFactory<FirstOptionsContext>>();
        await using (await factory.CreateDbContextAsync("acme", Ct)) { }
        for (var i = 0; i < 2; i++)
        {
            var refused = await Assert.ThrowsAsync<TenantIsolationException>(async () =>
                await factory.CreateDbContextAsync("globex", Ct)
            );
            Assert.Contains("built for tenant 'acme'", refused.Message);
        }
    }

    [Fact]
    public async Task A_context_without_a_tenant_has_the_model_that_names_no_schema()
    {
        await using var app = await StartAsync<AsksForTenantContext>(o => o.ModelPerSchema());

        await using var context = new AsksForTenantContext(app.Get<DbContextOptions<AsksForTenantContext>>());
        Assert.Equal("things_", Table(context));
        Assert.Null(context.Database.FindTenant());
        await Assert.ThrowsAsync<TenantIsolationException>(() => context.Set<Thing>().ToListAsync(Ct));
    }

    [Fact]
    public Task A_pool_of_contexts_is_refused() =>
        AssertRefusedAsync<AsksForTenantContext>(
            "Register it with AddTenantDbContext",
            perSchema: true,
            register: b => b.AddPooledTenantDbContext<AsksForTenantContext>(o => o.ModelPerSchema())
        );

    [Fact]
    public Task A_model_that_was_made_beforehand_is_refused() =>
        AssertRefusedAsync<CatalogContext>(
            "UseModel(...)",
            perSchema: true,
            options: o => o.UseSchemaBinding(SchemaBinding.QualifiedNames).UseModel(CatalogContextModel.Instance)
        );

    [Fact]
    public Task Another_source_of_models_is_refused() =>
        AssertRefusedAsync<AsksForTenantContext>(
            "ReplaceService<IModelSource, OtherSource>()",
            perSchema: true,
            options: o => o.ReplaceService<IModelSource, OtherSource>()
        );

    private async Task AssertRefusedAsync<TContext>(
        string remedy,
        bool perSchema,
        bool inScope = false,
        Action<DbContextOptionsBuilder>? options = null,
        Action<NeoCommonsBuilder>? register = null
    )
        where TContext : DbContext
    {
        await using var app = await StartAsync<TContext>(
            o =>
            {
                options?.Invoke(o);
                if (perSchema)
                {
                    o.ModelPerSchema();
                }
            },
            register
        );
        for (var i = 0; i < 2; i++)
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(() =>
                inScope
                    ? TableInScopeAsync<TContext>(app, "acme")
                    : app.Get<ITenantDbContextFactory<TContext>>().CreateDbContextAsync("acme", Ct).AsTask()
            );
            Assert.Contains(remedy, refused.Message);
        }
    }

    private async Task<TestApp> StartAsync<TContext>(
        Action<DbContextOptionsBuilder> options,
        Action<NeoCommonsBuilder>? register = null
    )
        where TContext : DbContext
    {
        var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: register ?? (b => b.AddTenantDbContext<TContext>(options))
        );
        await app.AdminAsync(
            """
            INSERT INTO admin.tenants (slug, name, schema_name, connection_id)
            SELECT slug, slug, 'tenant_' || slug, id FROM admin.database_connections, unnest(ARRAY['acme', 'globex']) slug
            """
        );
        return app;
    }

    private static async Task<string?> TableInScopeAsync<TContext>(TestApp app, string slug)
        where TContext : DbContext
    {
        var tenant = (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!;
        await using var scope = await app.Services.CreateTenantScopeAsync(tenant.Id, Ct);
        return Table(scope.ServiceProvider.GetRequiredService<TContext>());
    }

    private static string? Table(DbContext context) => context.Model.FindEntityType(typeof(Thing))!.GetTableName();

    private sealed class OtherSource(ModelSourceDependencies dependencies) : ModelSource(dependencies);
}
