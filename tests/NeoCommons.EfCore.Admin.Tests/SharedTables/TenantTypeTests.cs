using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

public sealed class TenantTypeTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_context_of_a_type_has_its_tables_in_tenants_of_that_type_only()
    {
        await using var app = await StartAsync();

        await CreateAsync(app, "vet", "clinic");
        await CreateAsync(app, "store", "shop");
        await CreateAsync(app, "plain", null);

        Assert.Equal("notes runs", await TablesAsync(app, "vet"));
        Assert.Equal("notes", await TablesAsync(app, "store"));
        Assert.Equal("notes", await TablesAsync(app, "plain"));
    }

    [Theory]
    [InlineData("shop", "'shop'", false)]
    [InlineData(null, "no type", false)]
    [InlineData("shop", "'shop'", true)]
    public async Task Asking_for_it_for_another_tenant_throws_before_any_sql(string? type, string named, bool pooled)
    {
        await using var app = await StartAsync(pooled);
        var tenant = await CreateAsync(app, "store", type);
        // No SQL can succeed: the database is not there any more.
        await app.AdminAsync("UPDATE admin.database_connections SET port = 1");
        await app.ReloadAsync();

        var refused = await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Get<ITenantDbContextFactory<LedgerContext>>().CreateDbContextAsync(tenant.Id, Ct)
        );

        Assert.Equal(tenant.Id, refused.ExpectedTenantId);
        Assert.Contains("LedgerContext is for tenants of type 'clinic'", refused.Message);
        Assert.Contains(named, refused.Message);
        await using var scope = await app.Services.CreateTenantScopeAsync(tenant.Id, Ct);
        Assert.Throws<TenantIsolationException>(() => scope.ServiceProvider.GetRequiredService<LedgerContext>());
    }

    [Fact]
    public async Task A_tenant_of_the_type_gets_the_context()
    {
        await using var app = await StartAsync();
        var tenant = await CreateAsync(app, "vet", "clinic");

        await using var context = await app.Get<ITenantDbContextFactory<LedgerContext>>()
            .CreateDbContextAsync(tenant.Id, Ct);

        Assert.Equal(101, await context.Database.SqlQueryRaw<int>("SELECT n AS \"Value\" FROM runs").SingleAsync(Ct));
    }

    [Fact]
    public async Task Scripts_of_a_tenant_are_those_of_its_type()
    {
        await using var app = await StartAsync();
        var scripts = app.Get<TenantMigrationScripts>();

        Assert.Equal([nameof(LedgerContext), nameof(NotesContext)], ContextsOf(scripts.For("clinic")));
        Assert.Equal([nameof(NotesContext)], ContextsOf(scripts.For("shop")));
        Assert.Equal([nameof(NotesContext)], ContextsOf(scripts.For((string?)null)));
        Assert.Equal([nameof(LedgerContext), nameof(NotesContext)], ContextsOf(scripts.All));
        Assert.Same(scripts.For("shop"), scripts.For("another"));
    }

    [Fact]
    public void A_type_must_have_a_name()
    {
        var options = new DbContextOptionsBuilder<LedgerContext>();

        Assert.Throws<ArgumentException>(() => options.ForTenantTypes());
        Assert.Throws<ArgumentException>(() => options.ForTenantTypes("clinic", " "));
    }

    private static string[] ContextsOf(IReadOnlyList<MigrationScript> scripts) =>
        [.. scripts.SelectMany(s => s.Steps).Select(s => s.Context).Distinct().Order(StringComparer.Ordinal)];

    private static Task<Tenant> CreateAsync(TestApp app, string slug, string? type) =>
        app.Provisioner.CreateAsync(
            new NewTenant
            {
                Slug = slug,
                Name = slug,
                ConnectionName = "db1",
                TenantType = type,
            },
            Ct
        );

    private static async Task<object?> TablesAsync(TestApp app, string slug) =>
        await app.DirectAsync(
            "db1",
            "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relname NOT LIKE '\\_\\_%' "
                + $"AND relnamespace = 'tenant_{slug}'::regnamespace"
        );

    private Task<TestApp> StartAsync(bool pooled = false) =>
        TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.AddTenantDbContext<NotesContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("__notes")));
                if (pooled)
                {
                    b.AddPooledTenantDbContext<LedgerContext>(o => o.ForTenantTypes("clinic"));
                }
                else
                {
                    b.AddTenantDbContext<LedgerContext>(o => o.ForTenantTypes("clinic"));
                }
            }
        );
}
