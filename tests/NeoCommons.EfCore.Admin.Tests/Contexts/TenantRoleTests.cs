using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>
/// <see cref="ConnectionOptions.TenantRoles"/>: with names and paths that lead to another tenant on purpose, PostgreSQL
/// refuses; and what is a tenant's own works as without it.
/// </summary>
public sealed class TenantRoleTests(TestServers servers, KeptApps apps) : IClassFixture<KeptApps>
{
    private const string Another = "tenant_globex";

    private const string Denied = PostgresErrorCodes.InsufficientPrivilege;

    private const string Extras = """
        CREATE FUNCTION who() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
        CREATE PROCEDURE work() LANGUAGE sql AS 'SELECT 1';
        CREATE SEQUENCE numbers;
        CREATE VIEW listed AS SELECT * FROM "Products";
        CREATE MATERIALIZED VIEW kept AS SELECT * FROM "Products";
        CREATE TABLE serials (id serial PRIMARY KEY, n int)
        """;

    // Each names the schema of the tenant that it may not reach: {0}.
    private static readonly string[] Statements =
    [
        "SELECT * FROM {0}.\"Products\"",
        "SELECT count(*) FROM {0}.listed",
        "SELECT count(*) FROM {0}.kept",
        "INSERT INTO {0}.\"Products\" (\"Sku\", \"Name\", \"Price\") VALUES ('x', 'x', 1)",
        "INSERT INTO {0}.serials (n) VALUES (1)",
        "UPDATE {0}.\"Products\" SET \"Name\" = 'x'",
        "DELETE FROM {0}.\"Products\"",
        "TRUNCATE {0}.\"Products\"",
        "MERGE INTO {0}.serials t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
        "SELECT {0}.who()",
        "CALL {0}.work()",
        "SELECT nextval('{0}.numbers')",
        "SELECT setval('{0}.numbers', 5)",
        "CREATE TABLE {0}.mine (n int)",
        "DROP TABLE {0}.\"Products\"",
        "ALTER TABLE {0}.\"Products\" ADD n int",
        "CREATE TEMP TABLE stolen AS SELECT * FROM {0}.\"Products\"",
        "DO $do$ BEGIN PERFORM 1 FROM {0}.\"Products\"; END $do$",
        "PREPARE theirs AS SELECT 1 FROM {0}.\"Products\"",
        "DO $do$ BEGIN LOCK TABLE {0}.\"Products\" IN ACCESS SHARE MODE; END $do$",
        "DROP SCHEMA {0} CASCADE",
        "GRANT ALL ON SCHEMA {0} TO CURRENT_USER",
        // One's own schema belongs to the login role.
        "CREATE TABLE tenant_acme.mine (n int)",
        "DROP TABLE tenant_acme.\"Products\"",
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<SchemaBinding, bool, SessionReset> Bindings() =>
        new(
            from binding in Enum.GetValues<SchemaBinding>()
            from pooled in new[] { false, true }
            from reset in Enum.GetValues<SessionReset>()
            select (binding, pooled, reset)
        );

    [Theory]
    [MemberData(nameof(Bindings))]
    public async Task Every_statement_that_names_another_tenants_schema_is_refused(
        SchemaBinding binding,
        bool pooled,
        SessionReset reset
    )
    {
        var app = await KeptAsync(binding, pooled, reset);
        var acme = await AcmeAsync(app);
        foreach (var statement in Statements)
        {
            var sql = string.Format(null, statement, Another);
            await using (var shop = await app.Shop.CreateDbContextAsync(acme, Ct))
            {
                await RefusedAsync(sql, () => shop.Database.ExecuteSqlRawAsync(sql, Ct));
            }

            await using (var shop = await app.Shop.CreateDbContextAsync(acme, Ct))
            {
                await RefusedAsync(sql, () => shop.Database.GetDbConnection().ExecuteAsync(sql));
            }

            await using (var shop = await app.Shop.CreateDbContextAsync(acme, Ct))
            {
                // A path that leads there changes nothing for whoever names the schema.
                await shop.Database.OpenConnectionAsync(Ct);
                var connection = shop.Database.GetDbConnection();
                await connection.ExecuteAsync($"SET search_path = {Another}");
                await RefusedAsync(sql, () => connection.ExecuteAsync(sql));
            }

            await using var raw = await app.Databases.OpenTenantConnectionAsync(acme, Ct);
            await RefusedAsync(sql, () => raw.ExecuteAsync(sql));
        }

        Assert.Equal(
            "globex",
            await app.DirectAsync("db1", $"SELECT string_agg(\"Name\", '') FROM {Another}.\"Products\"")
        );
    }

    [Theory]
    [MemberData(nameof(Bindings))]
    public async Task Queries_and_copies_that_name_another_tenants_schema_are_refused(
        SchemaBinding binding,
        bool pooled,
        SessionReset reset
    )
    {
        var app = await KeptAsync(binding, pooled, reset);
        var acme = await AcmeAsync(app);
        const string Theirs = $"SELECT * FROM {Another}.\"Products\"";
        await using var shop = await app.Shop.CreateDbContextAsync(acme, Ct);
        await RefusedAsync("FromSql", () => shop.Products.FromSqlRaw(Theirs).ToListAsync(Ct));
        await RefusedAsync("composed", () => shop.Products.FromSqlRaw(Theirs).Where(p => p.Price > 0).CountAsync(Ct));
        await RefusedAsync("sync", () => Task.FromResult(shop.Products.FromSqlRaw(Theirs).ToList()));
        await RefusedAsync(
            "joined",
            () =>
                shop
                    .Products.Join(shop.Products.FromSqlRaw(Theirs), p => p.Id, p => p.Id, (mine, theirs) => theirs)
                    .ToListAsync(Ct)
        );
        await RefusedAsync(
            "SqlQuery",
            () => shop.Database.SqlQueryRaw<int>($"SELECT 1 AS \"Value\" FROM {Another}.\"Products\"").ToListAsync(Ct)
        );
        await RefusedAsync(
            "transaction",
            async () =>
            {
                await using var transaction = await shop.Database.BeginTransactionAsync(Ct);
                await shop.Products.CountAsync(Ct);
                await shop.Database.ExecuteSqlRawAsync($"DELETE FROM {Another}.\"Products\"", Ct);
            }
        );
        var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme, Ct);
        await using (reader)
        {
            await RefusedAsync("read-only", () => reader.Products.FromSqlRaw(Theirs).ToListAsync(Ct));
        }

        await shop.Database.OpenConnectionAsync(Ct);
        var connection = (NpgsqlConnection)shop.Database.GetDbConnection();
        await RefusedAsync(
            "COPY TO",
            async () =>
            {
                using var export = await connection.BeginTextExportAsync($"COPY {Another}.\"Products\" TO STDOUT", Ct);
                await export.ReadToEndAsync(Ct);
            }
        );
        await RefusedAsync(
            "COPY FROM",
            async () =>
            {
                await using var import = await connection.BeginTextImportAsync(
                    $"COPY {Another}.\"Orders\" (\"Customer\") FROM STDIN",
                    Ct
                );
                await import.WriteAsync("somebody\n");
            }
        );
        Assert.Equal("acme", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    [Theory]
    [MemberData(nameof(Bindings))]
    public async Task What_a_tenant_does_in_its_own_schema_succeeds(
        SchemaBinding binding,
        bool pooled,
        SessionReset reset
    )
    {
        var app = await KeptAsync(binding, pooled, reset);
        var acme = await AcmeAsync(app);
        for (var lease = 0; lease < 2; lease++)
        {
            await using var shop = await app.Shop.CreateDbContextAsync(acme, Ct);
            var order = new Order { Customer = "c" };
            order.Lines.Add(new OrderLine { ProductId = 1, Quantity = 1 });
            shop.Orders.Add(order);
            await shop.SaveChangesAsync(Ct);
            order.Lines[0].Quantity = 2;
            await shop.SaveChangesAsync(Ct);
            shop.Remove(order);
            await shop.SaveChangesAsync(Ct);
            Assert.Equal(1, await shop.Products.ExecuteUpdateAsync(s => s.SetProperty(p => p.Price, 2), Ct));
            Assert.Equal("acme", shop.Products.AsNoTracking().Single().Name);
            foreach (var sql in Statements[..13])
            {
                await shop.Database.ExecuteSqlRawAsync(
                    $"BEGIN; {string.Format(null, sql, "tenant_acme")}; ROLLBACK".Replace("TRUNCATE", "TRUNCATE ONLY"),
                    Ct
                );
            }

            await shop.Database.ExecuteSqlRawAsync("CREATE TEMP TABLE mine AS SELECT 1 AS n", Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            var connection = (NpgsqlConnection)shop.Database.GetDbConnection();
            await using var import = await connection.BeginTextImportAsync(
                "COPY tenant_acme.\"Orders\" (\"Customer\") FROM STDIN",
                Ct
            );
            await import.WriteAsync("somebody\n");
        }

        await using (var raw = await app.Databases.OpenTenantConnectionAsync(acme, Ct))
        {
            Assert.Equal(2, await raw.ExecuteAsync("DELETE FROM \"Orders\""));
            Assert.Equal(TenantRoles.NameOf(acme), await raw.ExecuteScalarAsync<string>("SELECT current_user"));
        }

        await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme, Ct);
        Assert.Equal(1, await reader.Products.CountAsync(Ct));
        await Assert.ThrowsAsync<PostgresException>(() => reader.Products.ExecuteDeleteAsync(Ct));
    }

    // PostgreSQL skips a schema of the path that the role may not use: what is found by name only does not exist.
    [Theory]
    [InlineData(SchemaBinding.SearchPath, PostgresErrorCodes.UndefinedTable)]
    [InlineData(SchemaBinding.QualifiedNames, Denied)]
    public async Task A_context_that_is_bound_to_another_tenants_schema_reaches_nothing(
        SchemaBinding binding,
        string expected
    )
    {
        await using var app = await StartAsync(binding);
        var acme = await AcmeAsync(app);
        await app.AdminAsync(
            $"UPDATE admin.tenants SET schema_name = 'tenant_none' WHERE slug = 'globex'; "
                + $"UPDATE admin.tenants SET schema_name = '{Another}' WHERE slug = 'acme'"
        );
        await app.ReloadAsync();

        await using var shop = await app.Shop.CreateDbContextAsync(acme, Ct);
        Assert.Equal(Another, shop.Database.GetTenantSchema().Value);
        await TryAsync(() => shop.Products.ToListAsync(Ct));
        await TryAsync(() => Task.FromResult(shop.Products.Count()));
        await TryAsync(() => shop.Products.ExecuteDeleteAsync(Ct));
        await TryAsync(() => shop.Products.ExecuteUpdateAsync(s => s.SetProperty(p => p.Price, 2), Ct));
        shop.Orders.Add(new Order { Customer = "c" });
        await TryAsync(() => shop.SaveChangesAsync(Ct));
        await TryAsync(() => Task.FromResult(shop.SaveChanges()));
        Assert.Equal(0L, await app.DirectAsync("db1", $"SELECT count(*) FROM {Another}.\"Orders\""));
        Assert.Equal(1L, await app.DirectAsync("db1", $"SELECT count(*) FROM {Another}.\"Products\""));

        Task TryAsync(Func<Task> use) => RefusedAsync(binding.ToString(), use, expected);
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task A_model_that_names_another_tenants_schema_reads_and_writes_nothing(SchemaBinding binding)
    {
        var settings = TenantRoles.Settings();
        await using var app = await StartAsync(binding, settings: settings);
        await app.DirectAsync(
            "db1",
            $"CREATE TABLE {Another}.\"Things\" (\"Id\" int GENERATED BY DEFAULT AS IDENTITY)"
        );

        // Only this lets such a model through; it is set after the tenants' rights were given.
        using var misled = TestApp.BuildHost(
            app.Server,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            new Dictionary<string, string?>(settings) { ["NeoCommons:Connections:SharedSchemas:0"] = Another },
            b => b.AddTenantDbContext<LateSchemaContext>(o => o.UseSchemaBinding(binding))
        );
        var contexts = misled.Services.GetRequiredService<ITenantDbContextFactory<LateSchemaContext>>();

        await using var context = await contexts.CreateDbContextAsync("acme", Ct);
        await RefusedAsync("read", () => context.Things.CountAsync(Ct));
        await RefusedAsync("delete", () => context.Things.ExecuteDeleteAsync(Ct));
        context.Add(new Thing());
        await RefusedAsync("save", () => context.SaveChangesAsync(Ct));
        await RefusedAsync("save, sync", () => Task.FromResult(context.SaveChanges()));
        Assert.Equal(0L, await app.DirectAsync("db1", $"SELECT count(*) FROM {Another}.\"Things\""));
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task What_takes_the_role_off_by_raw_sql_holds_until_the_next_command_of_EF(SchemaBinding binding)
    {
        await using var app = await StartAsync(binding);
        var acme = await AcmeAsync(app);
        foreach (var sql in new[] { "RESET ROLE", "DISCARD ALL", "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE NONE" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(acme, Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            await shop.Database.ExecuteSqlRawAsync(sql, Ct);
            Assert.Equal(TenantRoles.NameOf(acme), await TenantRoles.CurrentAsync(shop));
            await shop.Database.GetDbConnection().ExecuteAsync(sql);
            Assert.Equal(TenantRoles.NameOf(acme), await TenantRoles.CurrentAsync(shop));
            await using (var transaction = await shop.Database.BeginTransactionAsync(Ct))
            {
                await shop.Database.ExecuteSqlRawAsync(sql == "DISCARD ALL" ? "RESET ROLE" : sql, Ct);
                Assert.Equal(1, await shop.Products.CountAsync(Ct));
                await transaction.RollbackAsync(Ct);
            }

            Assert.Equal(TenantRoles.NameOf(acme), await TenantRoles.CurrentAsync(shop));
        }
    }

    private static async Task<TenantId> AcmeAsync(TestApp app) =>
        (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;

    private static async Task RefusedAsync(string what, Func<Task> use, string expected = Denied)
    {
        var thrown = await Record.ExceptionAsync(use);
        var refused = (thrown as PostgresException) ?? thrown?.InnerException as PostgresException;
        Assert.True(refused?.SqlState == expected, $"{what}: {thrown?.Message ?? "nothing was thrown"}");
    }

    private Task<TestApp> KeptAsync(SchemaBinding binding, bool pooled, SessionReset reset) =>
        apps.GetAsync($"{binding} {pooled} {reset}", () => StartAsync(binding, pooled, reset));

    private async Task<TestApp> StartAsync(
        SchemaBinding binding,
        bool pooled = false,
        SessionReset reset = SessionReset.Always,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var app = await TenantRoles.StartAsync(servers.Postgres, binding, pooled, reset, settings);
        foreach (var schema in new[] { "tenant_acme", Another })
        {
            await app.DirectAsync("db1", $"SET search_path = {schema}; {Extras}");
        }

        return app;
    }
}
