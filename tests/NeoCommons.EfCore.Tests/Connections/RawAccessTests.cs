using Dapper;
using NpgsqlTypes;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Dapper, ADO.NET and COPY work on the connections that are handed out, a tenant's ones in its schema.</summary>
public sealed class RawAccessTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Dapper_queries_rows_values_and_commands_on_a_named_connection()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await app.AddTenantAsync(row, "acme");
        await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        Assert.Equal(
            2,
            await connection.ExecuteAsync(
                "INSERT INTO tenant_acme.items VALUES (@Id, @Owner)",
                new[]
                {
                    new Item { Id = 2, Owner = "two" },
                    new Item { Id = 3, Owner = "three" },
                }
            )
        );
        Assert.Equal(
            ["acme", "two", "three"],
            (await connection.QueryAsync<Item>("SELECT * FROM tenant_acme.items ORDER BY id")).Select(i => i.Owner)
        );
        Assert.Equal(
            "two",
            (
                await connection.QuerySingleAsync<Item>(
                    "SELECT * FROM tenant_acme.items WHERE id = @id",
                    new { id = 2 }
                )
            ).Owner
        );
        Assert.Equal(3, await connection.ExecuteScalarAsync<int>("SELECT count(*) FROM tenant_acme.items"));
    }

    [Fact]
    public async Task Dapper_works_in_the_tenants_schema_on_its_connection()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        foreach (var tenant in new[] { await app.AddTenantAsync(row, "acme"), await app.AddTenantAsync(row, "globex") })
        {
            await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            Assert.Equal(
                1,
                await connection.ExecuteAsync("INSERT INTO items VALUES (2, @owner)", new { owner = tenant.Slug })
            );
            Assert.Equal(
                [tenant.Slug, tenant.Slug],
                (await connection.QueryAsync<Item>("SELECT * FROM items ORDER BY id")).Select(i => i.Owner)
            );
            Assert.Equal(
                tenant.Slug,
                (await connection.QuerySingleAsync<Item>("SELECT * FROM items WHERE id = 2")).Owner
            );
            Assert.Equal(2, await connection.ExecuteScalarAsync<int>("SELECT count(*) FROM items"));
        }
    }

    [Fact]
    public async Task Copy_writes_and_reads_the_tenants_table()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var acme = await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");

        await using (var connection = await app.Connections.OpenTenantConnectionAsync(acme.Id, Ct))
        {
            await using var import = await connection.BeginBinaryImportAsync(
                "COPY items (id, owner) FROM STDIN (FORMAT BINARY)",
                Ct
            );
            for (var id = 2; id <= 1000; id++)
            {
                await import.StartRowAsync(Ct);
                await import.WriteAsync(id, NpgsqlDbType.Integer, Ct);
                await import.WriteAsync("acme", NpgsqlDbType.Text, Ct);
            }

            await import.CompleteAsync(Ct);
        }

        Assert.Equal(1000L, await app.DirectAsync(row, "SELECT count(*) FROM tenant_acme.items WHERE owner = 'acme'"));
        Assert.Equal(1L, await app.DirectAsync(row, "SELECT count(*) FROM tenant_globex.items WHERE owner = 'globex'"));
        await using var other = await app.Connections.OpenTenantConnectionAsync(globex.Id, Ct);
        using var export = await other.BeginTextExportAsync("COPY items TO STDOUT", Ct);
        Assert.Equal("1\tglobex\n", await export.ReadToEndAsync(Ct));
    }

    [Fact]
    public async Task A_connection_that_is_handed_out_is_the_callers_to_give_back()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();

        var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.Equal(1, app.Connections.GetPoolMetrics(row.Name).Active);
        await connection.CloseAsync();
        await connection.CloseAsync();
        await connection.DisposeAsync();

        var pool = app.Connections.GetPoolMetrics(row.Name);
        Assert.Equal((0, 1), (pool.Active, pool.Idle));
    }

    [Fact]
    public async Task A_tenant_that_is_not_active_or_not_known_gets_no_connection()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        foreach (var status in Enum.GetValues<TenantStatus>().Where(status => status != TenantStatus.Active))
        {
            app.Tenants.Set(tenant with { Status = status });
            await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
                await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)
            );
        }

        await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
            await app.Connections.OpenTenantConnectionAsync(new TenantId(Guid.NewGuid()), Ct)
        );
        Assert.Equal(0, await app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task A_connection_string_that_is_read_back_holds_no_password()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var source = await app.Connections.GetDataSourceAsync(row.Name, Ct);
        await using var opened = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var closed = source.CreateConnection();

        foreach (
            var text in new[]
            {
                source.ConnectionString,
                opened.ConnectionString,
                closed.ConnectionString,
                row.ToString(),
            }
        )
        {
            Assert.DoesNotContain(servers.Postgres.Password, text, StringComparison.Ordinal);
        }
    }
}
