using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>An application whose tenants have models of their own.</summary>
internal sealed class PartsApp(TestApp app) : IAsyncDisposable
{
    public TestApp App => app;

    public ITenantDbContextFactory<PartsContext> Parts => app.Get<ITenantDbContextFactory<PartsContext>>();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<PartsApp> StartAsync(
        PostgresServer server,
        SchemaBinding binding = SchemaBinding.SearchPath,
        int cachedModels = 200,
        int databases = 1,
        Action<DbContextOptionsBuilder>? options = null
    ) =>
        new(
            await TestApp.StartAsync(
                server,
                databases,
                configure: b =>
                    b.AddTenantDbContext<PartsContext>(o =>
                    {
                        o.UseSchemaBinding(binding).ModelPerSchema(cachedModels);
                        options?.Invoke(o);
                    })
            )
        );

    /// <summary>Adds tenants t1, t2, ..., each with a schema and a table, and in it one row that names the tenant.</summary>
    public async Task<IReadOnlyList<Tenant>> AddTenantsAsync(int count)
    {
        await AddRowsAsync(app, count);
        await app.DirectAsync(
            "db1",
            $"""
            DO $$ BEGIN FOR i IN 1..{count} LOOP
                EXECUTE format('CREATE SCHEMA tenant_t%s', i);
                EXECUTE format('CREATE TABLE tenant_t%s.parts_t%s ("Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" text)', i, i);
                EXECUTE format('INSERT INTO tenant_t%s.parts_t%s ("Name") VALUES (''t%s'')', i, i, i);
            END LOOP; END $$
            """
        );
        return await ListAsync(app);
    }

    /// <summary>Adds tenants t1, t2, ... to the registry, and nothing else.</summary>
    public static Task AddRowsAsync(TestApp app, int count) =>
        app.AdminAsync(
            $"""
            INSERT INTO admin.tenants (slug, name, schema_name, connection_id)
            SELECT 't' || i, 't' || i, 'tenant_t' || i, c.id
            FROM generate_series(1, {count}) i, admin.database_connections c WHERE c.connection_name = 'db1'
            """
        );

    public static async Task<IReadOnlyList<Tenant>> ListAsync(TestApp app) =>
        await app.Get<ITenantStore>().ListAsync(Ct).ToListAsync(Ct);

    public async Task<Tenant> TenantAsync(string slug) => (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!;

    public async ValueTask DisposeAsync() => await app.DisposeAsync();
}
