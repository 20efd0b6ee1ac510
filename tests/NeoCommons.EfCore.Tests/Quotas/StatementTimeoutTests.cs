using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>A tenant's statement timeout holds for its statements, and for nobody else's on the same connection.</summary>
public sealed class StatementTimeoutTests(TestServers servers)
{
    private const string Setting = "SELECT current_setting('statement_timeout') AS \"Value\"";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SchemaBinding.SearchPath, SessionReset.Always)]
    [InlineData(SchemaBinding.SearchPath, SessionReset.WhenUsed)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.Always)]
    [InlineData(SchemaBinding.QualifiedNames, SessionReset.WhenUsed)]
    public async Task It_is_gone_for_the_next_tenant_and_for_nobody(SchemaBinding binding, SessionReset reset)
    {
        await using var app = StartAsync(binding, reset, servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var hasty = await AddAsync(app, row, "hasty", TimeSpan.FromMilliseconds(250));
        var calm = await AddAsync(app, row, "calm", TimeSpan.FromHours(1));
        var free = await AddAsync(app, row, "free", null);

        // Nothing but EF's own command: with WhenUsed nothing resets the session.
        for (var i = 0; i < 2; i++)
        {
            await ReadAsync(app, hasty);
            Assert.Equal("0", await SettingAsync(app, free));
            await ReadAsync(app, hasty);
            Assert.Equal("1h", await SettingAsync(app, calm));
            await ReadAsync(app, hasty);
            await ReadAsync(app, free);
            await using (var nobody = await app.Connections.OpenConnectionAsync(row.Name, Ct))
            {
                Assert.Equal("0", await ScalarAsync(nobody));
            }

            Assert.Equal("250ms", await SettingAsync(app, hasty));
        }

        Assert.Equal(1, await app.CountBackendsAsync(row));
    }

    [Theory]
    [InlineData(SchemaBinding.SearchPath)]
    [InlineData(SchemaBinding.QualifiedNames)]
    public async Task A_statement_that_takes_longer_is_PostgreSQLs_57014_and_the_next_one_works(SchemaBinding binding)
    {
        await using var app = StartAsync(binding, SessionReset.Always, servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var hasty = await AddAsync(app, row, "hasty", TimeSpan.FromMilliseconds(250));
        await using var context = await app.Contexts.CreateDbContextAsync(hasty.Id, Ct);

        var cancelled = await Assert.ThrowsAsync<PostgresException>(() =>
            context.Database.ExecuteSqlRawAsync("SELECT pg_sleep(60)", Ct)
        );

        Assert.Equal("57014", cancelled.SqlState);
        Assert.Equal("hasty", (await context.Items.SingleAsync(Ct)).Owner);
    }

    [Fact]
    public async Task A_raw_connection_has_it_and_so_has_a_transaction_that_is_rolled_back()
    {
        await using var app = StartAsync(SchemaBinding.SearchPath, SessionReset.Always, servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var hasty = await AddAsync(app, row, "hasty", TimeSpan.FromMilliseconds(250));
        await using var connection = await app.Connections.OpenTenantConnectionAsync(hasty.Id, Ct);
        await using (var transaction = await connection.BeginTransactionAsync(Ct))
        {
            Assert.Equal("250ms", await ScalarAsync(connection));
            await transaction.RollbackAsync(Ct);
        }

        Assert.Equal("250ms", await ScalarAsync(connection));
    }

    [Fact]
    public async Task In_a_TransactionScope_it_ends_with_the_transaction()
    {
        await using var app = StartAsync(SchemaBinding.SearchPath, SessionReset.Always, servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var hasty = await AddAsync(app, row, "hasty", TimeSpan.FromMilliseconds(250));
        var free = await AddAsync(app, row, "free", null);
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.Equal("250ms", await SettingAsync(app, hasty));
            scope.Complete();
        }

        Assert.Equal("0", await SettingAsync(app, free));
    }

    [Fact]
    public async Task The_default_of_the_options_holds_where_the_row_says_nothing()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:Quotas:TenantStatementTimeout"] = "00:00:07" }
        );
        var row = await app.AddDatabaseAsync();
        var own = await AddAsync(app, row, "own", TimeSpan.FromMilliseconds(250));
        var free = await AddAsync(app, row, "free", null);

        Assert.Equal("7s", await SettingAsync(app, free));
        Assert.Equal("250ms", await SettingAsync(app, own));
    }

    private static RuntimeApp StartAsync(SchemaBinding binding, SessionReset reset, PostgresServer server) =>
        new(
            server,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
            contexts: b => b.AddTenantDbContext<ItemsContext>(o => o.UseSchemaBinding(binding))
        );

    private static async Task<Tenant> AddAsync(RuntimeApp app, DatabaseConnection row, string slug, TimeSpan? timeout)
    {
        var tenant = await app.AddTenantAsync(row, slug);
        tenant = tenant with { Limits = new TenantLimits { StatementTimeout = timeout } };
        app.Tenants.Set(tenant);
        return tenant;
    }

    private static async Task ReadAsync(RuntimeApp app, Tenant tenant)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
    }

    private static async Task<string> SettingAsync(RuntimeApp app, Tenant tenant)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        return await context.Database.SqlQueryRaw<string>(Setting).SingleAsync(Ct);
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(Setting, connection);
        return await command.ExecuteScalarAsync(Ct);
    }
}
