using System.Collections.Concurrent;
using System.Diagnostics;
using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Review;

public sealed class SecondReview(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task S03_No_log_at_trace_and_no_exception_holds_a_password()
    {
        var lines = new Lines();
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
            {
                b.Services.AddSingleton<ILoggerProvider>(lines);
                b.Services.Configure<LoggerFilterOptions>(o => o.MinLevel = LogLevel.Trace);
                b.AddTenantDbContext<ShopDbContext>(o => o.EnableSensitiveDataLogging().EnableDetailedErrors());
            }
        );
        const string canary = "canary-9f2c";
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "wrong",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct),
            r => r.EncryptedPassword = app.Get<ISecretProtector>().Protect(canary)
        );
        await app.ReloadAsync();
        await app.CreateTenantAsync("acme");
        var e = await Record.ExceptionAsync(() => app.CreateTenantAsync("globex", "wrong"));
        Assert.NotNull(e);
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        _ = await shop.Products.ToListAsync(Ct);
        await Record.ExceptionAsync(async () => await app.Databases.OpenConnectionAsync("wrong", Ct));
        var all = string.Join('\n', lines.All) + e;
        Assert.True(lines.All.Count > 50);
        Assert.DoesNotContain(canary, all);
        Assert.DoesNotContain(servers.Postgres.Password, all);
    }

    [Fact]
    public async Task S04_A_failure_in_the_second_context_leaves_the_schema_as_it_was()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                b.AddTenantDbContext<NotesContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("h1")))
                    .AddTenantDbContext<FailingContext>(o => o.UseNpgsql(n => n.MigrationsHistoryTable("h2")))
        );
        await app.DirectAsync("db1", "CREATE SCHEMA tenant_acme");
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        Assert.Equal(TenantMigrationStatus.Failed, Assert.Single(await app.Migrator.MigrateAllAsync(ct: Ct)).Status);
        Assert.Null(
            await app.DirectAsync(
                "db1",
                "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'tenant_acme'::regnamespace AND relkind = 'r'"
            )
        );
    }

    [Fact]
    public async Task S05_Old_migrations_that_were_squashed_away_do_not_stop_all_later_ones()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<NotesContext>()
        );
        await app.DirectAsync(
            "db1",
            "CREATE SCHEMA tenant_acme CREATE TABLE \"__EFMigrationsHistory\" (\"MigrationId\" varchar(150) PRIMARY KEY, \"ProductVersion\" varchar(32) NOT NULL)"
        );
        await app.DirectAsync(
            "db1",
            "INSERT INTO tenant_acme.\"__EFMigrationsHistory\" VALUES ('20200101000000_Squashed', '8.0.0')"
        );
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'a', 'tenant_acme', id FROM admin.database_connections"
        );
        Assert.Equal(TenantMigrationStatus.Migrated, Assert.Single(await app.Migrator.MigrateAllAsync(ct: Ct)).Status);
    }

    [Fact]
    public async Task S06_Two_tenants_can_be_made_of_a_model_with_an_extension_or_it_is_refused_at_the_first()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<ExtensionContext>()
        );
        var first = await Record.ExceptionAsync(() => app.CreateTenantAsync("acme"));
        var second = await Record.ExceptionAsync(() => app.CreateTenantAsync("globex"));
        Assert.True(first is not null || second is null, second?.ToString());
    }

    [Fact]
    public async Task S07_A_type_that_a_migration_creates_can_be_read_by_the_running_pool()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<LateTypeContext>()
        );
        await using (var warm = await app.Databases.OpenConnectionAsync("db1", Ct)) { }

        await app.CreateTenantAsync("acme");
        await using var context = await app.Get<ITenantDbContextFactory<LateTypeContext>>()
            .CreateDbContextAsync("acme", Ct);
        Assert.Equal(
            "x",
            await context.Database.SqlQueryRaw<string>("SELECT c AS \"Value\" FROM late").SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task S08_A_scope_of_a_request_does_not_hand_its_tenant_to_the_data_source_of_the_next()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("globex");
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            globex.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = "globex",
                    Price = 1,
                }
            );
            await globex.SaveChangesAsync(Ct);
            scope.Complete();
        }

        // Another request, no scope: "an unqualified table name is an error (42P01)".
        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        await Assert.ThrowsAsync<PostgresException>(() => raw.ExecuteAsync("DELETE FROM \"Products\""));
    }

    [Fact]
    public async Task S10_PgBouncer_in_session_mode_works_as_the_readme_says()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await using var bouncer = await PgBouncerServer.StartAsync(
            servers.Postgres,
            new PgBouncerServerOptions { PoolMode = PgBouncerPoolMode.Session },
            ct: Ct
        );
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "bounced",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct),
            r => (r.Host, r.Port, r.Pooler) = (bouncer.Host, bouncer.Port, PoolerMode.Session)
        );
        await app.ReloadAsync();
        await app.CreateTenantAsync("acme", "bounced");
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Empty(await shop.Products.ToListAsync(Ct));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task S11_A_creation_cancelled_at_any_moment_can_be_repeated(bool atOnce)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        if (atOnce)
        {
            await TestApp.RegisterAsync(
                app.Services,
                servers.Postgres,
                "same",
                new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!
            );
            await app.ReloadAsync();
        }

        var connection = atOnce ? "same" : "db1";
        var cancelled = 0;
        for (var i = 0; i < 40; i++)
        {
            var slug = $"t{i:00}";
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(i * 2));
            var e = await Record.ExceptionAsync(() =>
                app.Provisioner.CreateAsync(
                    new NewTenant
                    {
                        Slug = slug,
                        Name = slug,
                        ConnectionName = connection,
                    },
                    cancel.Token
                )
            );
            if (e is not null)
            {
                cancelled++;
                var again = await Record.ExceptionAsync(() => app.CreateTenantAsync(slug, connection));
                Assert.True(again is null || again.Message.Contains("is active"), $"{i}: {e.Message} / {again}");
            }

            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Empty(await shop.Products.ToListAsync(Ct));
        }

        Assert.True(cancelled > 3, $"{cancelled} cancelled");
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> All { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose() { }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            All.Enqueue(formatter(state, exception) + exception);
            if (state is IEnumerable<KeyValuePair<string, object?>> values)
            {
                All.Enqueue(string.Join(' ', values.Select(v => v.Value)));
            }
        }
    }
}

public class FailingContext(DbContextOptions<FailingContext> options) : DbContext(options);

[DbContext(typeof(FailingContext)), Migration("20260103000000_Fail")]
public sealed class FailAlways : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("SELECT 1/0");
}

public class ExtensionContext(DbContextOptions<ExtensionContext> options) : DbContext(options);

[DbContext(typeof(ExtensionContext)), Migration("20260101000000_Citext")]
public sealed class CreateCitext : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AlterDatabase().Annotation("Npgsql:PostgresExtension:citext", ",,");
        migrationBuilder.CreateTable("folk", t => new { name = t.Column<string>("citext") });
    }
}

public class LateTypeContext(DbContextOptions<LateTypeContext> options) : DbContext(options);

[DbContext(typeof(LateTypeContext)), Migration("20260101000000_Late")]
public sealed class CreateLate : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql(
            "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE late (c public.citext); INSERT INTO late VALUES ('x')"
        );
}
