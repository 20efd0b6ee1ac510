using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.QualifiedNames;

/// <summary>
/// An application bound by names, direct or behind PgBouncer in transaction mode, with tenants acme and globex in one
/// database, and the same tables in <c>public</c>, where nobody may ever come.
/// </summary>
internal sealed class CatalogApp(TestApp app, PgBouncerServer? pooler) : IAsyncDisposable
{
    private const string CopyOfTables = """
        CREATE SEQUENCE "ItemNumbers";
        CREATE TABLE items (LIKE tenant_acme.items);
        ALTER TABLE items ALTER "Id" SET DEFAULT nextval('"ItemNumbers"');
        CREATE TABLE item_notes (LIKE tenant_acme.item_notes INCLUDING IDENTITY);
        CREATE TABLE tags (LIKE tenant_acme.tags INCLUDING IDENTITY);
        CREATE TABLE item_tags (LIKE tenant_acme.item_tags);
        """;

    public TestApp App => app;

    public ITenantDbContextFactory<CatalogContext> Catalog => app.Get<ITenantDbContextFactory<CatalogContext>>();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<CatalogApp> StartAsync(
        PostgresServer server,
        bool pooled,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var pooler = pooled
            ? await PgBouncerServer.StartAsync(server, new() { Settings = { ["default_pool_size"] = "2" } }, Ct)
            : null;
        var app = await TestApp.StartAsync(
            server,
            settings: settings,
            configure: b =>
            {
                b.AddTenantDbContext<CatalogContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames));
                configure?.Invoke(b);
            }
        );
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
        }

        foreach (var schema in new[] { "tenant_acme", "tenant_globex", "public" })
        {
            var name = schema.Replace("tenant_", "", StringComparison.Ordinal);
            await app.DirectAsync(
                "db1",
                $"""
                SET search_path = {schema};
                {(schema == "public" ? CopyOfTables : "")}
                CREATE VIEW item_totals AS SELECT "Name", count(*) AS "Total" FROM items GROUP BY "Name";
                CREATE FUNCTION doubled(n bigint) RETURNS bigint LANGUAGE sql AS
                    'SELECT CASE WHEN ''{schema}'' <> ''public'' THEN n * 2 ELSE -1 END';
                CREATE FUNCTION named_like(pattern text) RETURNS SETOF items LANGUAGE sql AS
                    'SELECT * FROM {schema}.items WHERE "Name" LIKE pattern';
                INSERT INTO items VALUES (1, '{name}', 1);
                INSERT INTO tags ("Name") VALUES ('{name}');
                INSERT INTO item_tags VALUES (1, 1);
                INSERT INTO item_notes VALUES (1, 1, '{name}');
                SELECT setval('"ItemNumbers"', 101);
                """
            );
        }

        if (pooler is not null)
        {
            await LetPathsLeadNowhereAsync(app);
            await app.AdminAsync(
                $"UPDATE admin.database_connections SET pooler = 'transaction', host = '{pooler.Host}', port = {pooler.Port}"
            );
            await app.ReloadAsync();
        }

        return new CatalogApp(app, pooler);
    }

    /// <summary>What the library asks for where a pooler hides the start-up parameters.</summary>
    public static async Task LetPathsLeadNowhereAsync(TestApp app, string connection = "db1")
    {
        var database = (string)
            (
                await app.AdminAsync(
                    $"SELECT database_name FROM admin.database_connections WHERE connection_name = '{connection}'"
                )
            )!;
        await app.DirectAsync(
            connection,
            $"ALTER ROLE \"{app.Server.Username}\" IN DATABASE \"{database}\" SET search_path = neocommons_no_tenant"
        );
    }

    public async Task<Tenant> TenantAsync(string slug) => (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!;

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        if (pooler is not null)
        {
            await pooler.DisposeAsync();
        }
    }
}
