using System.Transactions;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.QualifiedNames;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Poolers;

/// <summary>What stands before a database is found out at its first use, and must be what its row says.</summary>
public sealed class PoolerProbeTests(TestServers servers)
{
    private static readonly string[] BothRemedies = ["session mode", "SchemaBinding.QualifiedNames"];

    /// <summary>Every door by which a connection is used first.</summary>
    private static readonly Dictionary<string, Func<TestApp, Task>> Doors = new()
    {
        ["a context"] = async app =>
        {
            await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            await shop.Products.ToListAsync(Ct);
        },
        ["a context, synchronous"] = async app =>
        {
            await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            shop.Products.ToList();
        },
        ["a context's connection"] = async app =>
        {
            await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            await shop.Database.GetDbConnection().OpenAsync(Ct);
        },
        ["a context in a TransactionScope"] = async app =>
        {
            using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
            await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            await shop.Products.ToListAsync(Ct);
        },
        ["a context in a TransactionScope, synchronous"] = async app =>
        {
            await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
            using var scope = new TransactionScope();
            shop.Products.ToList();
        },
        ["a raw connection"] = async app => await (await app.Databases.OpenConnectionAsync("db1", Ct)).DisposeAsync(),
        ["a tenant's raw connection"] = async app =>
        {
            var acme = await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct);
            await (await app.Databases.OpenTenantConnectionAsync(acme!.Id, Ct)).DisposeAsync();
        },
        ["a data source"] = async app => await app.Databases.GetDataSourceAsync("db1", Ct),
        ["a migration"] = async app =>
        {
            var acme = await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct);
            await app.Migrator.MigrateAsync(acme!.Id, Ct);
        },
        ["a new tenant"] = async app => await app.CreateTenantAsync("initech"),
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> DoorNames() => [.. Doors.Keys];

    [Theory]
    [MemberData(nameof(DoorNames))]
    public async Task A_pooler_that_a_row_does_not_tell_of_is_refused(string door)
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction, ignoresSearchPath: true);
        await using var app = await StartAppAsync(pooler, "none");

        AssertRefused(await Assert.ThrowsAsync<ConnectionUnavailableException>(() => Doors[door](app)), BothRemedies);
        Assert.Equal(
            0L,
            await app.DirectAsync("db1", "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_initech'")
        );
    }

    [Theory]
    [InlineData(PgBouncerPoolMode.Session)]
    [InlineData(PgBouncerPoolMode.Transaction)]
    public async Task A_pooler_that_refuses_the_search_path_is_told_of(PgBouncerPoolMode mode)
    {
        await using var pooler = await StartAsync(mode, ignoresSearchPath: false);
        await using var app = await StartAppAsync(pooler, "none");

        AssertRefused(
            await Assert.ThrowsAsync<ConnectionUnavailableException>(() => Doors["a context"](app)),
            BothRemedies
        );
    }

    [Theory]
    [MemberData(nameof(DoorNames))]
    public async Task A_transaction_pooler_that_passes_for_a_session_pooler_is_found_out(string door)
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction, ignoresSearchPath: false);
        await using var app = await StartAppAsync(pooler, "session");

        AssertRefused(await Assert.ThrowsAsync<ConnectionUnavailableException>(() => Doors[door](app)), BothRemedies);
    }

    [Fact]
    public async Task It_is_found_out_under_load_too()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Transaction, ignoresSearchPath: false);
        await using var app = await StartAppAsync(pooler, "session");
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var database = (string)
            (
                await app.AdminAsync(
                    "SELECT database_name FROM admin.database_connections WHERE connection_name = 'db1'"
                )
            )!;
        await using var others = Npgsql.NpgsqlDataSource.Create(
            pooler.GetConnectionString(database) + ";No Reset On Close=true"
        );
        var load = Enumerable
            .Range(0, 8)
            .Select(_ =>
                Task.Run(
                    async () =>
                    {
                        while (!ending.IsCancellationRequested)
                        {
                            await using var command = others.CreateCommand("SELECT pg_sleep(0.002)");
                            await command.ExecuteNonQueryAsync(CancellationToken.None);
                        }
                    },
                    Ct
                )
            )
            .ToList();

        for (var i = 0; i < 10; i++)
        {
            AssertRefused(
                await Assert.ThrowsAsync<ConnectionUnavailableException>(() => Doors["a raw connection"](app)),
                BothRemedies
            );
        }

        await ending.CancelAsync();
        await Task.WhenAll(load);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Behind_a_session_pooler_search_path_binds(int serverConnections)
    {
        await using var pooler = await StartAsync(
            PgBouncerPoolMode.Session,
            ignoresSearchPath: false,
            serverConnections
        );
        await using var app = await StartAppAsync(pooler, "session", maxPoolSize: 1);

        // With one server connection, whoever holds it must give it back before another session can be compared.
        foreach (var slug in new[] { "acme", "globex", "acme", "globex" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            shop.Products.Add(
                new Product
                {
                    Sku = Guid.NewGuid().ToString(),
                    Name = slug,
                    Price = 1,
                }
            );
            await shop.SaveChangesAsync(Ct);
            Assert.All(await shop.Products.ToListAsync(Ct), p => Assert.Equal(slug, p.Name));
        }

        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        await using var command = raw.CreateCommand();
        command.CommandText = "SELECT current_setting('search_path')";
        Assert.Equal("neocommons_no_tenant", await command.ExecuteScalarAsync(Ct));
    }

    [Theory]
    [InlineData(PgBouncerPoolMode.Session, "session")]
    [InlineData(PgBouncerPoolMode.Transaction, "transaction")]
    public async Task A_role_whose_path_leads_somewhere_is_refused_behind_a_pooler(PgBouncerPoolMode mode, string row)
    {
        await using var pooler = await StartAsync(mode, ignoresSearchPath: false);
        await using var app = await StartAppAsync(pooler, row, alterRole: false);

        AssertRefused(
            await Assert.ThrowsAsync<ConnectionUnavailableException>(() => Doors["a raw connection"](app)),
            ["ALTER ROLE \"postgres\" IN DATABASE", "SET search_path = neocommons_no_tenant"]
        );
    }

    [Fact]
    public async Task Behind_a_pooler_the_number_of_connections_is_its_business_also_where_processes_share_servers()
    {
        await using var pooler = await StartAsync(PgBouncerPoolMode.Session, ignoresSearchPath: false);
        await using var app = await StartAppAsync(
            pooler,
            "session",
            settings: new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:ServerLease"] = "00:00:03" }
        );

        await Doors["a raw connection"](app);

        Assert.Equal(
            FairGate.Unlimited,
            Assert
                .Single(
                    app.Get<ServerBudgets>().All,
                    s => s.Server.EndsWith($":{pooler.Port}", StringComparison.Ordinal)
                )
                .Gate.Permits
        );
    }

    private static void AssertRefused(ConnectionUnavailableException refused, string[] remedies) =>
        Assert.All(remedies, remedy => Assert.Contains(remedy, refused.Message));

    private Task<PgBouncerServer> StartAsync(PgBouncerPoolMode mode, bool ignoresSearchPath, int serverConnections = 4)
    {
        var options = new PgBouncerServerOptions
        {
            PoolMode = mode,
            Settings = { ["default_pool_size"] = $"{serverConnections}" },
        };
        if (ignoresSearchPath)
        {
            options.Settings["ignore_startup_parameters"] = "search_path,extra_float_digits";
        }

        return PgBouncerServer.StartAsync(servers.Postgres, options, Ct);
    }

    private async Task<TestApp> StartAppAsync(
        PgBouncerServer pooler,
        string row,
        bool alterRole = true,
        int maxPoolSize = 4,
        Dictionary<string, string?>? settings = null
    )
    {
        var app = await TestApp.StartAsync(servers.Postgres, settings: settings);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
        }

        if (alterRole && row != "none")
        {
            await CatalogApp.LetPathsLeadNowhereAsync(app);
        }

        await app.AdminAsync(
            $"UPDATE admin.database_connections SET pooler = '{row}', host = '{pooler.Host}', port = {pooler.Port}, pool_max_size = {maxPoolSize}"
        );
        await app.ReloadAsync();
        return app;
    }
}
