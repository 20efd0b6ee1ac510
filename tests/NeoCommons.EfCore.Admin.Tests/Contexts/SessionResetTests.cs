using System.Data;
using System.Data.Common;
using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary><see cref="SessionReset.WhenUsed"/>: whatever a lease leaves in its session, the next one does not see it.</summary>
public sealed class SessionResetTests(TestServers servers, KeptApps apps) : IClassFixture<KeptApps>
{
    // From then on the driver resets the pool.
    private const string HandedOut = "a handed-out data source";

    // What can be left, and what shows it; all of it in one session, hence one connection in the pool.
    private const string Litter =
        "SET neo.mark = 'left'; CREATE TEMP TABLE litter (n int); LISTEN litter; SELECT pg_advisory_lock(4711); "
        + "SET default_transaction_isolation = 'serializable'; SET search_path = public";

    private const string Look =
        "SELECT concat_ws(',', nullif(current_setting('neo.mark', true), ''), to_regclass('pg_temp.litter')::text, "
        + "(SELECT string_agg(c, '') FROM pg_listening_channels() c), "
        + "(SELECT 'locked' FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND pid = pg_backend_pid()), "
        + "nullif(current_setting('default_transaction_isolation'), 'read committed'), "
        + "nullif(current_setting('default_transaction_read_only'), 'off')) AS \"Value\"";

    private static readonly Dictionary<string, Func<TestApp, Task>> Markers = new()
    {
        ["ExecuteSql"] = app => InAcmeAsync(app, shop => shop.Database.ExecuteSqlRawAsync(Litter, Ct)),
        ["FromSql"] = app =>
            InAcmeAsync(
                app,
                shop =>
                    shop.Products.FromSqlRaw("SELECT p.* FROM \"Products\" p, set_config('neo.mark', 'left', false) ")
                        .AsNoTracking()
                        .ToListAsync(Ct)
            ),
        ["composed FromSql"] = app =>
            InAcmeAsync(
                app,
                shop =>
                    shop.Products.FromSqlRaw("SELECT p.* FROM \"Products\" p, set_config('neo.mark', 'left', false) ")
                        .Where(p => p.Price > 0)
                        .CountAsync(Ct)
            ),
        ["SqlQuery"] = app =>
            InAcmeAsync(
                app,
                shop =>
                    shop.Database.SqlQueryRaw<int>("SELECT 1 AS \"Value\" FROM pg_advisory_lock(4711)")
                        .Where(n => n > 0)
                        .ToListAsync(Ct)
            ),
        ["GetDbConnection"] = app => InAcmeAsync(app, shop => shop.Database.GetDbConnection().ExecuteAsync(Litter)),
        ["GetDbConnection, opened by EF"] = app =>
            InAcmeAsync(
                app,
                async shop =>
                {
                    await shop.Database.OpenConnectionAsync(Ct);
                    await shop.Database.GetDbConnection().ExecuteAsync(Litter);
                }
            ),
        ["the connection of a transaction"] = app =>
            InAcmeAsync(
                app,
                async shop =>
                {
                    await using var transaction = await shop.Database.BeginTransactionAsync(Ct);
                    await transaction.GetDbTransaction().Connection!.ExecuteAsync(Litter);
                    await transaction.CommitAsync(Ct);
                }
            ),
        ["a command of EF that is handed out"] = app =>
            InAcmeAsync(
                app,
                async shop =>
                {
                    await using var command = shop.Products.Where(p => p.Price > 0).CreateDbCommand();
                    await shop.Database.OpenConnectionAsync(Ct);
                    await command.Connection!.ExecuteAsync(Litter);
                }
            ),
        ["a read-only context"] = async app =>
        {
            await using var shop = await app.Shop.CreateReadOnlyDbContextAsync(
                (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id,
                Ct
            );
            await shop.Products.CountAsync(Ct);
        },
        ["a tenant's raw connection"] = async app =>
        {
            var acme = await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct);
            await using var connection = await app.Databases.OpenTenantConnectionAsync(acme!.Id, Ct);
            await connection.ExecuteAsync(Litter);
        },
        ["a raw connection"] = async app =>
        {
            await using var connection = await app.Databases.OpenConnectionAsync("db1", Ct);
            await connection.ExecuteAsync(Litter);
        },
        [HandedOut] = async app =>
        {
            var source = await app.Databases.GetDataSourceAsync("db1", Ct);
            await using var connection = await source.OpenConnectionAsync(Ct);
            await connection.ExecuteAsync(Litter);
        },
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> Doors() => [.. Markers.Keys];

    [Theory]
    [MemberData(nameof(Doors))]
    public async Task What_a_lease_leaves_is_not_seen_by_the_next(string door)
    {
        var app = await KeptAsync(door);
        await Markers[door](app);

        // A lease that sends nothing must not lose the reset.
        await using (var unused = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            await unused.Database.OpenConnectionAsync(Ct);
        }

        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal("globex", (await globex.Products.AsNoTracking().SingleAsync(Ct)).Name);
        Assert.Equal("", await globex.Database.SqlQueryRaw<string>(Look).SingleAsync(Ct));
    }

    [Theory]
    [MemberData(nameof(Doors))]
    public async Task What_a_lease_leaves_is_not_seen_by_a_raw_connection(string door)
    {
        var app = await KeptAsync(door);
        await Markers[door](app);

        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal("", await raw.ExecuteScalarAsync<string>(Look));
        await Assert.ThrowsAsync<PostgresException>(() => raw.QueryAsync("SELECT * FROM \"Products\""));
    }

    // What it would fall back to when the scope ends is what the lease before has left.
    [Fact]
    public async Task A_transaction_scope_is_refused()
    {
        var app = await KeptAsync();
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            Assert.Equal("globex", (await globex.Products.AsNoTracking().SingleAsync(Ct)).Name);
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await using var open = await app.Shop.CreateDbContextAsync("acme", Ct);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await Assert.ThrowsAsync<TenantIsolationException>(() => acme.Products.SingleAsync(Ct));
            Assert.Throws<TenantIsolationException>(() => acme.Database.OpenConnection());
            await Assert.ThrowsAsync<TenantIsolationException>(() =>
                acme.Database.GetDbConnection().QueryAsync("SELECT * FROM \"Products\"")
            );
            await Assert.ThrowsAsync<TenantIsolationException>(async () =>
                await app.Databases.OpenConnectionAsync("db1", Ct)
            );
        }

        await open.Database.OpenConnectionAsync(Ct);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            // Opened before it, it is not part of it: nothing is written as if it were.
            open.Products.Add(
                new Product
                {
                    Sku = "2",
                    Name = "acme",
                    Price = 1,
                }
            );
            var refused = await Assert.ThrowsAsync<DbUpdateException>(() => open.SaveChangesAsync(Ct));
            Assert.IsType<TenantIsolationException>(refused.InnerException);
        }

        await open.Database.CloseConnectionAsync();
        Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task What_an_interceptor_of_the_application_leaves_is_not_seen_by_the_next_lease()
    {
        await using var app = await StartAsync(configure: b =>
            b.AddTenantDbContext<ShopDbContext>(o => o.AddInterceptors(new Litterer()))
        );
        await using (var acme = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            Assert.Equal("acme", (await acme.Products.AsNoTracking().TagWith("litter").SingleAsync(Ct)).Name);
            Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);
        }

        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal("", await raw.ExecuteScalarAsync<string>(Look));
    }

    [Theory]
    [InlineData(SessionReset.WhenUsed, "left")]
    [InlineData(SessionReset.Always, "")]
    public async Task A_lease_of_EFs_own_commands_is_not_reset(SessionReset reset, string expected)
    {
        await using var app = await StartAsync(reset);
        await app.DirectAsync(
            "db1",
            """
            CREATE FUNCTION tenant_acme.mark() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN PERFORM set_config('neo.mark', 'left', false); RETURN NEW; END $$;
            CREATE TRIGGER mark BEFORE INSERT ON tenant_acme."Products" FOR EACH ROW EXECUTE FUNCTION tenant_acme.mark()
            """
        );
        await InAcmeAsync(
            app,
            shop =>
            {
                shop.Products.Add(
                    new Product
                    {
                        Sku = "2",
                        Name = "acme",
                        Price = 1,
                    }
                );
                return shop.SaveChangesAsync(Ct);
            }
        );

        // What nobody could see is how a test sees that there was no reset.
        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal(expected, await globex.Database.SqlQueryRaw<string>(Look).SingleAsync(Ct));
    }

    [Fact]
    public async Task An_unmarked_connection_of_a_tenant_leads_nowhere_when_it_is_used_raw()
    {
        await using var app = await StartAsync();
        await InAcmeAsync(app, shop => shop.Products.CountAsync(Ct));

        await using (var raw = await app.Databases.OpenConnectionAsync("db1", Ct))
        {
            await Assert.ThrowsAsync<PostgresException>(() => raw.QueryAsync("SELECT * FROM \"Products\""));
        }

        await InAcmeAsync(app, shop => shop.Products.CountAsync(Ct));
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        await using var handedOut = await source.OpenConnectionAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() => handedOut.QueryAsync("SELECT * FROM \"Products\""));
        await handedOut.CloseAsync();

        // From then on the pool is the driver's to reset, whatever a context leaves.
        await InAcmeAsync(app, shop => shop.Products.CountAsync(Ct));
        await handedOut.OpenAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() => handedOut.QueryAsync("SELECT * FROM \"Products\""));
    }

    [Theory]
    [InlineData("RESET ALL")]
    [InlineData("DISCARD ALL")]
    [InlineData("SET search_path = tenant_globex")]
    [InlineData("SELECT set_config('search_path', 'tenant_globex', false)")]
    public async Task After_foreign_sql_each_command_of_EF_is_bound_again(string sql)
    {
        var app = await KeptAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.ExecuteSqlRawAsync(sql, Ct);
        Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);

        await acme.Database.GetDbConnection().ExecuteAsync(sql);
        Assert.Equal("acme", acme.Products.AsNoTracking().Single().Name);
    }

    [Fact]
    public async Task A_path_set_within_a_transaction_that_rolls_back_leads_nowhere_else()
    {
        var app = await KeptAsync();
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.ExecuteSqlRawAsync("SET search_path = tenant_globex", Ct);
        await using (var transaction = await acme.Database.BeginTransactionAsync(Ct))
        {
            Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);
            await transaction.RollbackAsync(Ct);
        }

        Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    private static async Task InAcmeAsync(TestApp app, Func<ShopDbContext, Task> use)
    {
        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        await use(shop);
    }

    private Task<TestApp> KeptAsync(string door = "") =>
        apps.GetAsync(door == HandedOut ? HandedOut : "", () => StartAsync());

    private async Task<TestApp> StartAsync(
        SessionReset reset = SessionReset.WhenUsed,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var app = await TwoTenants.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            configure: configure
        );
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 1, pool_pre_ping = false");
        await app.ReloadAsync();
        return app;
    }

    private sealed class Litterer : DbCommandInterceptor
    {
        public override async ValueTask<DbDataReader> ReaderExecutedAsync(
            DbCommand command,
            CommandExecutedEventData eventData,
            DbDataReader result,
            CancellationToken cancellationToken = default
        )
        {
            if (!command.CommandText.Contains("litter", StringComparison.Ordinal))
            {
                return result;
            }

            // What it read, and then the session of another.
            var rows = new DataTable();
            rows.Load(result);
            await command.Connection!.ExecuteAsync(Litter);
            return rows.CreateDataReader();
        }
    }
}
