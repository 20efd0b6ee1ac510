using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

public sealed class SharedContextTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task A_tenant_joins_its_own_table_with_a_shared_one(SchemaBinding binding)
    {
        await using var app = await StartAsync(binding);
        foreach (var (slug, city) in new[] { ("acme", "Wien"), ("globex", "Bern") })
        {
            await app.CreateTenantAsync(slug);
            await using var writing = await Branches(app).CreateDbContextAsync(slug, Ct);
            writing.Add(new Branch { City = city, CountryCode = city == "Wien" ? "AT" : "CH" });
            await writing.SaveChangesAsync(Ct);
        }

        await using var context = await Branches(app).CreateDbContextAsync("acme", Ct);
        var joined = context.Branches.Select(b => b.City + ", " + b.Country!.Name);

        Assert.Equal(["Wien, Austria"], await joined.ToListAsync(Ct));
        Assert.Contains("shared.\"Countries\"", joined.ToQueryString());
    }

    [Fact]
    public async Task What_is_written_to_shared_tables_is_seen_by_every_tenant_of_the_database()
    {
        await using var app = await StartAsync();
        await app.CreateTenantAsync("acme");
        await using (var shared = await Countries(app).CreateDbContextAsync("db1", Ct))
        {
            shared.Add(new Country { Code = "LI", Name = "Liechtenstein" });
            await shared.SaveChangesAsync(Ct);
        }

        await using var context = await Branches(app).CreateDbContextAsync("acme", Ct);

        Assert.Equal(["AT", "CH", "LI"], await context.Countries.Select(c => c.Code).Order().ToListAsync(Ct));
    }

    [Fact]
    public async Task A_shared_table_never_stands_in_for_one_that_a_tenant_lacks()
    {
        await using var app = await StartAsync();
        await app.CreateTenantAsync("acme");
        await app.DirectAsync("db1", "ALTER TABLE tenant_acme.\"Branches\" SET SCHEMA shared");
        await using var context = await Branches(app).CreateDbContextAsync("acme", Ct);

        var missing = await Assert.ThrowsAsync<PostgresException>(() => context.Branches.CountAsync(Ct));

        Assert.Equal("42P01", missing.SqlState);
    }

    [Theory]
    [InlineData(SessionReset.Always)]
    [InlineData(SessionReset.WhenUsed)]
    public async Task Raw_sql_of_a_shared_context_finds_no_tenants_table(SessionReset reset)
    {
        await using var app = await StartAsync(reset: reset);
        await app.CreateTenantAsync("acme");
        for (var i = 0; i < 3; i++)
        {
            await using (var tenant = await Branches(app).CreateDbContextAsync("acme", Ct))
            {
                await tenant.Branches.CountAsync(Ct);
            }

            await using var shared = await Countries(app).CreateDbContextAsync("db1", Ct);
            var byEf = await Assert.ThrowsAsync<PostgresException>(() =>
                shared.Database.SqlQueryRaw<int>("SELECT count(*)::int AS \"Value\" FROM \"Branches\"").SingleAsync(Ct)
            );
            Assert.Equal("42P01", byEf.SqlState);
        }

        await using (var tenant = await Branches(app).CreateDbContextAsync("acme", Ct))
        {
            await tenant.Branches.CountAsync(Ct);
        }

        await using var other = await Countries(app).CreateDbContextAsync("db1", Ct);
        var byDapper = await Assert.ThrowsAsync<PostgresException>(() =>
            other.Database.GetDbConnection().QueryAsync("SELECT * FROM \"Branches\"")
        );
        Assert.Equal("42P01", byDapper.SqlState);
    }

    [Fact]
    public async Task In_a_transaction_scope_too_raw_sql_of_a_shared_context_finds_no_tenants_table()
    {
        await using var app = await StartAsync();
        await app.CreateTenantAsync("acme");
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var tenant = await Branches(app).CreateDbContextAsync("acme", Ct))
        {
            await tenant.Branches.CountAsync(Ct);
        }

        await using var shared = await Countries(app).CreateDbContextAsync("db1", Ct);
        Assert.Equal(2, await shared.Countries.CountAsync(Ct));
        var missing = await Assert.ThrowsAsync<PostgresException>(() =>
            shared.Database.SqlQueryRaw<int>("SELECT count(*)::int AS \"Value\" FROM \"Branches\"").SingleAsync(Ct)
        );

        Assert.Equal("42P01", missing.SqlState);
    }

    [Fact]
    public async Task With_roles_tenants_read_shared_tables_and_do_not_write_them()
    {
        await using var app = await StartAsync(settings: new() { ["NeoCommons:Connections:TenantRoles"] = "true" });
        await app.CreateTenantAsync("acme");
        await using var context = await Branches(app).CreateDbContextAsync("acme", Ct);

        Assert.Equal(2, await context.Countries.CountAsync(Ct));
        context.Add(new Branch { City = "Wien", CountryCode = "AT" });
        await context.SaveChangesAsync(Ct);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => context.Countries.ExecuteDeleteAsync(Ct));

        Assert.Equal("42501", refused.SqlState);
    }

    [Fact]
    public async Task A_context_gives_its_connection_back()
    {
        await using var app = await StartAsync(
            settings: new() { ["NeoCommons:Connections:DrainTimeout"] = "1.00:00:00" }
        );
        await app.Get<SharedMigration>().MigrateAsync("db1", Ct);
        await using (var shared = await Countries(app).CreateDbContextAsync("db1", Ct))
        {
            await shared.Database.OpenConnectionAsync(Ct);
            await shared.Countries.CountAsync(Ct);
        }

        // Would wait a day for a lease that is not given back.
        await app.Databases.CloseAsync("db1").WaitAsync(TimeSpan.FromMinutes(1), Ct);
    }

    [Fact]
    public async Task Databases_that_cannot_be_used_are_named()
    {
        await using var app = await StartAsync();

        await Assert.ThrowsAsync<ConnectionNotFoundException>(async () =>
            await Countries(app).CreateDbContextAsync("nowhere", Ct)
        );
        await app.AdminAsync("UPDATE admin.database_connections SET is_active = false");
        await app.ReloadAsync();
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await Countries(app).CreateDbContextAsync("db1", Ct)
        );
    }

    [Fact]
    public async Task A_shared_context_cannot_create_delete_or_migrate_a_database()
    {
        await using var app = await StartAsync();
        await using var shared = await Countries(app).CreateDbContextAsync("db1", Ct);

        await Assert.ThrowsAsync<TenantIsolationException>(() => shared.Database.EnsureDeletedAsync(Ct));
        await Assert.ThrowsAsync<TenantIsolationException>(() => shared.Database.EnsureCreatedAsync(Ct));
        await Assert.ThrowsAsync<TenantIsolationException>(() => shared.Database.MigrateAsync(Ct));
    }

    [Fact]
    public async Task A_model_that_names_a_tenants_schema_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddSharedDbContext<PeekingSharedContext>()
        );

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await app.Get<ISharedDbContextFactory<PeekingSharedContext>>().CreateDbContextAsync("db1", Ct)
        );

        Assert.Contains("tenant_acme", refused.Message);
    }

    private static ITenantDbContextFactory<BranchesContext> Branches(TestApp app) =>
        app.Get<ITenantDbContextFactory<BranchesContext>>();

    private static ISharedDbContextFactory<CountriesContext> Countries(TestApp app) =>
        app.Get<ISharedDbContextFactory<CountriesContext>>();

    private Task<TestApp> StartAsync(
        SchemaBinding binding = SchemaBinding.SearchPath,
        SessionReset reset = SessionReset.Always,
        Dictionary<string, string?>? settings = null
    ) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>(settings ?? [])
            {
                ["NeoCommons:Connections:SessionReset"] = reset.ToString(),
            },
            configure: b =>
                b.AddSharedDbContext<CountriesContext>()
                    .AddTenantDbContext<BranchesContext>(o => o.UseSchemaBinding(binding))
        );
}
