using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Tenants acme and globex in one database and on one physical connection, each with a role.</summary>
internal static class TenantRoles
{
    public const string Group = "neocommons_tenants";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static string NameOf(TenantId tenant) => $"neocommons_tenant_{tenant.Value:N}";

    /// <summary>The option, and a key, with which a second application can read the first one's registry.</summary>
    public static Dictionary<string, string?> Settings(bool on = true) =>
        new() { ["NeoCommons:Connections:TenantRoles"] = on.ToString(), ["DB_ENCRYPTION_KEY"] = TestApp.NewKey() };

    public static async Task<TestApp> StartAsync(
        PostgresServer server,
        SchemaBinding binding = SchemaBinding.SearchPath,
        bool pooled = false,
        SessionReset reset = SessionReset.Always,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var app = await TwoTenants.StartAsync(
            server,
            settings: new Dictionary<string, string?>(settings ?? Settings())
            {
                ["NeoCommons:Connections:SessionReset"] = reset.ToString(),
            },
            configure: b =>
            {
                if (pooled)
                {
                    b.AddPooledTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding));
                }
                else
                {
                    b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding));
                }
            }
        );
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 1, pool_min_size = 0");
        await app.ReloadAsync();
        return app;
    }

    /// <summary>The role that EF's own next command has.</summary>
    public static async Task<string> CurrentAsync(DbContext context) =>
        await context.Database.SqlQueryRaw<string>("SELECT current_user::text AS \"Value\"").SingleAsync(Ct);
}
