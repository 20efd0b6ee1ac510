using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>
/// Ways by which one tenant's session, connection or plan could serve another, as docs/isolation.md lists them: each ends
/// in an exception or at the right tenant.
/// </summary>
public sealed class LeakPathTests(TestServers servers)
{
    private const string Names = "SELECT \"Name\" FROM \"Products\"";

    private static readonly Dictionary<string, Action<NpgsqlDataSourceBuilder>> Settings = new()
    {
        ["No Reset On Close"] = s => s.ConnectionStringBuilder.NoResetOnClose = true,
        ["Multiplexing"] = s => s.ConnectionStringBuilder.Multiplexing = true,
        ["Search Path"] = s => s.ConnectionStringBuilder.SearchPath = "public",
        ["Options"] = s => s.ConnectionStringBuilder.Options = "-c search_path=public",
        ["Database"] = s => s.ConnectionStringBuilder.Database = "postgres",
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> SettingNames() => [.. Settings.Keys];

    /// <summary>Each way to reset, on the one connection that both tenants share.</summary>
    public static TheoryData<SessionReset, bool> Sessions() =>
        new()
        {
            { SessionReset.Always, true },
            { SessionReset.Always, false },
            { SessionReset.WhenUsed, true },
            { SessionReset.WhenUsed, false },
        };

    [Theory]
    [MemberData(nameof(SettingNames))]
    public async Task A_setting_of_the_driver_that_would_leak_is_refused(string setting)
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.ConfigureDataSources(Settings[setting]).AddTenantDbContext<ShopDbContext>()
        );

        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Databases.OpenConnectionAsync("db1", Ct)
        );
    }

    [Theory]
    [MemberData(nameof(Sessions))]
    public async Task What_a_lease_leaves_in_its_session_is_gone_at_the_next_tenants_first_command(
        SessionReset reset,
        bool prepared
    )
    {
        await using var app = await StartAsync(reset);
        await using (var acme = await app.Shop.CreateDbContextAsync("acme", Ct))
        {
            await acme.Database.OpenConnectionAsync(Ct);
            var connection = (NpgsqlConnection)acme.Database.GetDbConnection();
            if (prepared)
            {
                // The driver keeps prepared statements, and resets in another way where there are any.
                await PrepareAsync(connection);
            }

            await connection.ExecuteAsync(
                "CREATE TEMP TABLE basket (n int); LISTEN news; SELECT pg_advisory_lock(4712); SET ROLE pg_monitor; "
                    + "SET search_path = tenant_acme"
            );
        }

        await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
        Assert.Equal(
            "",
            await globex
                .Database.SqlQueryRaw<string>(
                    "SELECT concat_ws(',', to_regclass('pg_temp.basket')::text, (SELECT max(c) FROM pg_listening_channels() c), "
                        + "(SELECT 'locked' FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712), "
                        + "nullif(current_user, session_user)) AS \"Value\""
                )
                .SingleAsync(Ct)
        );
        Assert.Equal("globex", (await globex.Products.SingleAsync(Ct)).Name);
    }

    [Theory]
    [MemberData(nameof(Sessions))]
    public async Task A_statement_prepared_for_one_tenant_reads_the_next_ones_rows(SessionReset reset, bool prepared)
    {
        await using var app = await StartAsync(reset);
        foreach (var slug in new[] { "acme", "globex", "acme" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            var connection = (NpgsqlConnection)shop.Database.GetDbConnection();
            if (prepared)
            {
                await PrepareAsync(connection);
            }

            Assert.Equal(slug, await connection.QuerySingleAsync<string>(Names));
        }

        // Nor does it lead anybody anywhere who is bound to no tenant.
        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        await Assert.ThrowsAsync<PostgresException>(() => raw.QueryAsync<string>(Names));
    }

    [Fact]
    public async Task A_prepared_statement_whose_columns_differ_between_schemas_fails_or_reads_the_right_tenant()
    {
        await using var app = await StartAsync(SessionReset.WhenUsed);
        await app.DirectAsync("db1", "ALTER TABLE tenant_globex.\"Products\" ALTER COLUMN \"Name\" TYPE varchar(99)");
        for (var i = 0; i < 4; i++)
        {
            var slug = i % 2 == 0 ? "acme" : "globex";
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            await shop.Database.OpenConnectionAsync(Ct);
            var connection = (NpgsqlConnection)shop.Database.GetDbConnection();
            string? name = null;
            try
            {
                await PrepareAsync(connection);
                name = await connection.QuerySingleAsync<string>(Names);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.FeatureNotSupported)
            {
                // "cached plan must not change result type", once: it was for the other schema's columns.
                name = await connection.QuerySingleAsync<string>(Names);
            }

            Assert.Equal(slug, name);
        }
    }

    [Fact]
    public async Task What_initialises_a_physical_connection_does_not_lead_a_tenant_elsewhere()
    {
        await using var app = await StartAsync(
            SessionReset.WhenUsed,
            b =>
                b.ConfigureDataSources(s =>
                    s.UsePhysicalConnectionInitializer(
                        c => Execute(c, "SET search_path = tenant_acme"),
                        c =>
                        {
                            Execute(c, "SET search_path = tenant_acme");
                            return Task.CompletedTask;
                        }
                    )
                )
        );

        foreach (var slug in new[] { "globex", "acme", "globex" })
        {
            await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
            Assert.Equal(slug, (await shop.Products.SingleAsync(Ct)).Name);
        }

        static void Execute(NpgsqlConnection connection, string sql)
        {
            using var command = new NpgsqlCommand(sql, connection);
            command.ExecuteNonQuery();
        }
    }

    [Theory]
    [InlineData(SessionReset.Always)]
    public async Task A_lease_in_a_scope_writes_where_the_one_before_only_read(SessionReset reset)
    {
        await using var app = await StartAsync(reset);
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        await using (var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct))
        {
            Assert.Equal("acme", (await reader.Products.SingleAsync(Ct)).Name);
        }

        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            globex.Products.Add(New("2", "globex"));
            await globex.SaveChangesAsync(Ct);
            scope.Complete();
        }

        Assert.Equal(2L, await app.DirectAsync("db1", "SELECT count(*) FROM tenant_globex.\"Products\""));
    }

    private static Product New(string sku, string name) =>
        new()
        {
            Sku = sku,
            Name = name,
            Price = 1,
        };

    private static async Task PrepareAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(Names, connection);
        await command.PrepareAsync(Ct);
        await command.ExecuteScalarAsync(Ct);
    }

    private Task<TestApp> StartAsync(SessionReset reset, Action<NeoCommonsBuilder>? configure = null) =>
        TwoTenants.StartOnOneConnectionAsync(servers.Postgres, reset, configure);
}
