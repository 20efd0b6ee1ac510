using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>A role ends with its lease, and no lease has another's; on one physical connection.</summary>
public sealed class TenantRoleLeaseTests(TestServers servers, KeptApps apps) : IClassFixture<KeptApps>
{
    private const string WhoAmI =
        "SELECT current_user || ',' || current_setting('role') || ',' || current_setting('search_path')";

    private static readonly Dictionary<string, Func<TestApp, Task>> Leases = new()
    {
        ["LINQ"] = app => InAcmeAsync(app, shop => shop.Products.CountAsync(Ct)),
        ["nothing sent"] = app => InAcmeAsync(app, shop => shop.Database.OpenConnectionAsync(Ct)),
        ["raw SQL"] = app => InAcmeAsync(app, shop => shop.Database.ExecuteSqlRawAsync("SELECT 1", Ct)),
        ["Dapper"] = app => InAcmeAsync(app, shop => shop.Database.GetDbConnection().ExecuteAsync("SELECT 1")),
        ["a failed statement"] = app =>
            InAcmeAsync(
                app,
                shop => Record.ExceptionAsync(() => shop.Database.ExecuteSqlRawAsync("SELECT 1/0", Ct)).AsTask()
            ),
        ["a rolled back transaction"] = app =>
            InAcmeAsync(
                app,
                async shop =>
                {
                    await using var transaction = await shop.Database.BeginTransactionAsync(Ct);
                    await shop.Products.ExecuteDeleteAsync(Ct);
                    await transaction.RollbackAsync(Ct);
                }
            ),
        ["read-only"] = async app =>
        {
            var acme = await IdAsync(app, "acme");
            await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme, Ct);
            await reader.Products.CountAsync(Ct);
        },
        ["a raw connection of the tenant"] = async app =>
        {
            await using var raw = await app.Databases.OpenTenantConnectionAsync(await IdAsync(app, "acme"), Ct);
            await raw.ExecuteAsync("SELECT 1");
        },
        ["a transaction scope"] = async app =>
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            await InAcmeAsync(app, shop => shop.Products.CountAsync(Ct));
            scope.Complete();
        },
        ["an abandoned transaction scope"] = async app =>
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            await InAcmeAsync(app, shop => shop.Products.CountAsync(Ct));
        },
        ["a context disposed with its connection open in a scope"] = async app =>
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            await shop.Products.CountAsync(Ct);
            await shop.DisposeAsync();
            scope.Complete();
        },
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, SchemaBinding, SessionReset> Doors() =>
        new(
            from lease in Leases.Keys
            from binding in Enum.GetValues<SchemaBinding>()
            from reset in Enum.GetValues<SessionReset>()
            // Refused otherwise.
            where reset == SessionReset.Always || !lease.Contains("scope", StringComparison.Ordinal)
            select (lease, binding, reset)
        );

    [Theory]
    [MemberData(nameof(Doors))]
    public async Task A_lease_leaves_its_role_on_no_connection(string lease, SchemaBinding binding, SessionReset reset)
    {
        // A data source that was handed out is reset by the driver from then on, which would hide what WhenUsed forgets.
        var app = await apps.GetAsync(
            reset == SessionReset.Always ? $"{binding}" : $"{binding} {lease}",
            () => TenantRoles.StartAsync(servers.Postgres, binding, reset: reset)
        );
        var nobody = $"{app.Server.Username},none,neocommons_no_tenant";

        await Leases[lease](app);
        await using (var raw = await app.Databases.OpenConnectionAsync("db1", Ct))
        {
            Assert.Equal(nobody, await raw.ExecuteScalarAsync<string>(WhoAmI));
        }

        // The same without a command in between that would have reset it.
        await Leases[lease](app);
        await using (var shop = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            Assert.Equal("globex", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
            Assert.Equal(TenantRoles.NameOf(await IdAsync(app, "globex")), await TenantRoles.CurrentAsync(shop));
        }

        await Leases[lease](app);
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        await using (var handedOut = await source.OpenConnectionAsync(Ct))
        {
            Assert.Equal(nobody, await handedOut.ExecuteScalarAsync<string>(WhoAmI));
        }

        await Leases[lease](app);
        await using var command = source.CreateCommand(WhoAmI);
        Assert.Equal(nobody, await command.ExecuteScalarAsync(Ct));
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task In_a_transaction_scope_each_lease_has_its_own_role_and_a_raw_one_none(SchemaBinding binding)
    {
        await using var app = await TenantRoles.StartAsync(servers.Postgres, binding);
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            var role = TenantRoles.NameOf(await IdAsync(app, slug));
            await using (var shop = await app.Shop.CreateDbContextAsync(slug, Ct))
            {
                Assert.Equal(slug, (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
                Assert.Equal(role, await TenantRoles.CurrentAsync(shop));
            }

            await using (var raw = await app.Databases.OpenConnectionAsync("db1", Ct))
            {
                Assert.StartsWith($"{app.Server.Username},none,", await raw.ExecuteScalarAsync<string>(WhoAmI));
            }

            await using (var shop = await app.Shop.CreateDbContextAsync(slug, Ct))
            {
                await shop.Products.CountAsync(Ct);
            }

            await using var handedOut = await source.OpenConnectionAsync(Ct);
            Assert.StartsWith($"{app.Server.Username},none,", await handedOut.ExecuteScalarAsync<string>(WhoAmI));
        }
    }

    [Fact]
    public async Task The_role_is_set_by_an_ordinary_statement_where_nothing_is_prepended()
    {
        var settings = TenantRoles.Settings();
        settings["NeoCommons:Connections:BindWithFirstCommand"] = "false";
        await using var app = await TenantRoles.StartAsync(servers.Postgres, settings: settings);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            shop.Database.ExecuteSqlRawAsync("SELECT 1 FROM tenant_globex.\"Products\"", Ct)
        );
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_context_bound_by_names_finds_nothing_by_the_path_that_a_lease_before_has_left(
        bool roles,
        bool readOnly
    )
    {
        await using var app = await TwoTenants.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>(TenantRoles.Settings(roles))
            {
                ["NeoCommons:Connections:SessionReset"] = nameof(SessionReset.WhenUsed),
            },
            configure: b =>
                b.AddTenantDbContext<ShopDbContext>()
                    .AddTenantDbContext<CatalogContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames))
        );
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 1, pool_min_size = 0");
        await app.ReloadAsync();
        var globex = await IdAsync(app, "globex");
        var catalogs = app.Get<ITenantDbContextFactory<CatalogContext>>();
        foreach (var before in new[] { "acme", "globex" })
        {
            await using (var shop = await app.Shop.CreateDbContextAsync(before, Ct))
            {
                Assert.Equal(1, await shop.Products.CountAsync(Ct));
            }

            await using var catalog = readOnly
                ? await catalogs.CreateReadOnlyDbContextAsync(globex, Ct)
                : await catalogs.CreateDbContextAsync(globex, Ct);
            var refused = await Assert.ThrowsAsync<PostgresException>(() =>
                catalog.Database.ExecuteSqlRawAsync("SELECT * FROM \"Products\"", Ct)
            );
            Assert.Equal(PostgresErrorCodes.UndefinedTable, refused.SqlState);
        }
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task Tenants_whose_schemas_have_the_same_name_in_two_databases_have_roles_of_their_own(
        SchemaBinding binding
    )
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            2,
            TenantRoles.Settings(),
            b => b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
        );
        await app.CreateTenantAsync("acme", "db1");
        await app.AdminAsync("UPDATE admin.tenants SET slug = 'first'");

        // The audit remembers the name, and would give the second tenant another one.
        await app.AdminAsync("DELETE FROM admin.tenant_events");
        await app.CreateTenantAsync("acme", "db2");
        await app.ReloadAsync();

        foreach (var slug in new[] { "first", "acme", "first" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal("tenant_acme", shop.Database.GetTenantSchema().Value);
            Assert.Equal(0, await shop.Products.CountAsync(Ct));
            Assert.Equal(TenantRoles.NameOf(await IdAsync(app, slug)), await TenantRoles.CurrentAsync(shop));
        }
    }

    [Fact]
    public async Task Behind_a_transaction_pooler_no_context_is_made()
    {
        await using var app = await TenantRoles.StartAsync(servers.Postgres, SchemaBinding.QualifiedNames);
        await app.AdminAsync("UPDATE admin.database_connections SET pooler = 'transaction'");
        await app.ReloadAsync();
        var acme = await IdAsync(app, "acme");

        var refused = await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Shop.CreateDbContextAsync(acme, Ct)
        );
        Assert.Contains("set TenantRoles to false", refused.Message);
        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Databases.OpenTenantConnectionAsync(acme, Ct)
        );
    }

    private static async Task<TenantId> IdAsync(TestApp app, string slug) =>
        (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))!.Id;

    private static async Task InAcmeAsync(TestApp app, Func<ShopDbContext, Task> use)
    {
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await use(shop);
    }
}
