using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A connection that is bound to no tenant finds no table by its bare name, whatever was done to it.</summary>
public sealed class SearchPathTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("public_items")]
    [InlineData("items")]
    public async Task An_unbound_connection_sees_no_table_of_public_or_of_a_tenant(string table)
    {
        await using var app = await WithTablesAsync();
        await using var opened = await app.App.Connections.OpenConnectionAsync(app.Row.Name, Ct);
        var source = await app.App.Connections.GetDataSourceAsync(app.Row.Name, Ct);
        await using var fromSource = await source.OpenConnectionAsync(Ct);

        foreach (var connection in new[] { opened, fromSource })
        {
            await AssertNotFoundAsync(connection, table);
            foreach (
                var reset in new[] { "RESET ALL", "DISCARD ALL", "RESET search_path", "SET search_path = DEFAULT" }
            )
            {
                await ExecuteAsync(connection, reset);
                await AssertNotFoundAsync(connection, table);
            }
        }

        Assert.Equal("public", await ScalarAsync(opened, "SELECT owner FROM public.public_items"));
        Assert.Equal("acme", await ScalarAsync(opened, "SELECT owner FROM tenant_acme.items"));
    }

    [Theory]
    [InlineData("RESET ALL")]
    [InlineData("DISCARD ALL")]
    [InlineData("RESET search_path")]
    [InlineData("SET search_path = DEFAULT")]
    public async Task A_tenants_connection_that_was_reset_sees_nothing(string reset)
    {
        await using var app = await WithTablesAsync();
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);
        Assert.Equal("acme", await ScalarAsync(connection, "SELECT owner FROM items"));

        await ExecuteAsync(connection, reset);

        await AssertNotFoundAsync(connection, "items");
        await AssertNotFoundAsync(connection, "public_items");
    }

    [Fact]
    public async Task A_tenants_connection_sees_no_table_of_public()
    {
        await using var app = await WithTablesAsync();
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);

        await AssertNotFoundAsync(connection, "public_items");
    }

    [Fact]
    public async Task A_tenants_connection_cannot_be_opened_again()
    {
        await using var app = await WithTablesAsync();
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);

        await connection.CloseAsync();

        await Assert.ThrowsAsync<TenantIsolationException>(() => connection.OpenAsync(Ct));
        Assert.Equal(System.Data.ConnectionState.Closed, connection.State);
    }

    [Fact]
    public async Task The_next_lease_of_a_tenants_connection_is_bound_to_nobody()
    {
        await using var app = await WithTablesAsync(row => row with { MaxPoolSize = 1 });
        int pid;
        await using (var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct))
        {
            pid = await RuntimeApp.PidAsync(connection);
            Assert.Equal("acme", await ScalarAsync(connection, "SELECT owner FROM items"));
        }

        await using var next = await app.App.Connections.OpenConnectionAsync(app.Row.Name, Ct);
        await AssertNotFoundAsync(next, "items");
        Assert.Equal(pid, await RuntimeApp.PidAsync(next));
    }

    [Fact]
    public async Task A_rolled_back_transaction_leaves_the_tenants_path_in_force()
    {
        await using var app = await WithTablesAsync();
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);
        await using (var transaction = await connection.BeginTransactionAsync(Ct))
        {
            await transaction.RollbackAsync(Ct);
        }

        Assert.Equal("acme", await ScalarAsync(connection, "SELECT owner FROM items"));
    }

    [Fact]
    public async Task A_temporary_table_does_not_hide_the_tenants()
    {
        await using var app = await WithTablesAsync();
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);
        await ExecuteAsync(connection, "CREATE TEMP TABLE items (id int, owner text)");
        await ExecuteAsync(connection, "INSERT INTO pg_temp.items VALUES (1, 'temporary')");

        Assert.Equal("acme", await ScalarAsync(connection, "SELECT owner FROM items"));
        Assert.EndsWith(
            ", pg_temp",
            (string)(await ScalarAsync(connection, "SHOW search_path"))!,
            StringComparison.Ordinal
        );

        await using var context = await app.App.Contexts.CreateDbContextAsync(app.Tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        await context.Database.ExecuteSqlRawAsync("CREATE TEMP TABLE items (id int, owner text)", Ct);
        Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
    }

    [Fact]
    public async Task A_tenant_whose_schema_is_missing_sees_nothing()
    {
        await using var app = await WithTablesAsync();
        await app.App.DirectAsync(app.Row, "ALTER SCHEMA tenant_acme RENAME TO tenant_other");
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);

        await AssertNotFoundAsync(connection, "items");
        await AssertNotFoundAsync(connection, "public_items");
    }

    [Fact]
    public async Task Shared_schemas_come_after_the_tenants_own()
    {
        await using var app = await WithTablesAsync(
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:SharedSchemas:0"] = "shared",
                ["NeoCommons:Connections:SharedSchemas:1"] = "odd \"name\"",
            }
        );
        await app.App.DirectAsync(
            app.Row,
            "CREATE SCHEMA shared; CREATE SCHEMA \"odd \"\"name\"\"\";"
                + "CREATE TABLE shared.items AS SELECT 'shared' AS owner;"
                + "CREATE TABLE shared.countries AS SELECT 'shared' AS owner;"
                + "CREATE TABLE \"odd \"\"name\"\"\".odd AS SELECT 'odd' AS owner"
        );
        await using var connection = await app.App.Connections.OpenTenantConnectionAsync(app.Tenant.Id, Ct);

        Assert.Equal("acme", await ScalarAsync(connection, "SELECT owner FROM items"));
        Assert.Equal("shared", await ScalarAsync(connection, "SELECT owner FROM countries"));
        Assert.Equal("odd", await ScalarAsync(connection, "SELECT owner FROM odd"));
        await using var unbound = await app.App.Connections.OpenConnectionAsync(app.Row.Name, Ct);
        await AssertNotFoundAsync(unbound, "countries");
    }

    private static async Task AssertNotFoundAsync(NpgsqlConnection connection, string table)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            ScalarAsync(connection, $"SELECT owner FROM {table}")
        );
        Assert.Equal(PostgresErrorCodes.UndefinedTable, refused.SqlState);
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Ct);
    }

    private static Task ExecuteAsync(NpgsqlConnection connection, string sql) => ScalarAsync(connection, sql);

    private async Task<Tables> WithTablesAsync(
        Func<DatabaseConnection, DatabaseConnection>? change = null,
        IReadOnlyDictionary<string, string?>? settings = null
    )
    {
        var app = new RuntimeApp(servers.Postgres, settings);
        var row = await app.AddDatabaseAsync(change);
        var tenant = await app.AddTenantAsync(row, "acme");
        await app.DirectAsync(row, "CREATE TABLE public.public_items AS SELECT 'public' AS owner");
        return new Tables(app, row, tenant);
    }

    private sealed record Tables(RuntimeApp App, DatabaseConnection Row, Tenant Tenant) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => App.DisposeAsync();
    }
}
