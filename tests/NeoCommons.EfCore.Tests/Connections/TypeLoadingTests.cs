using System.Text;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>What the driver loads at the first open of a pool does not grow with the tenants.</summary>
public sealed class TypeLoadingTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_first_open_does_not_read_the_types_of_the_tenants_schemas()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var empty = await app.AddDatabaseAsync(ThroughProxy);
        var full = await app.AddDatabaseAsync(ThroughProxy);
        for (var i = 0; i < 300; i += 50)
        {
            var sql = new StringBuilder();
            for (var schema = i; schema < i + 50; schema++)
            {
                sql.Append($"CREATE SCHEMA t{schema}; CREATE TYPE t{schema}.mood AS ENUM ('good', 'bad');");
                sql.Append($"CREATE TYPE t{schema}.place AS (street text, town text);");
                for (var table = 0; table < 4; table++)
                {
                    sql.Append($"CREATE TABLE t{schema}.table{table} (id int);");
                }
            }

            await app.DirectAsync(full, sql.ToString());
        }

        var ofEmpty = await FirstOpenAsync(empty);
        var ofFull = await FirstOpenAsync(full);
        var unrestricted = await UnrestrictedFirstOpenAsync(full);

        // Unrestricted it is several hundred kilobytes here; restricted, what an empty database costs.
        Assert.InRange(ofFull, 0, ofEmpty * 1.02);
        Assert.InRange((double)unrestricted / ofFull, 3, double.MaxValue);

        DatabaseConnection ThroughProxy(DatabaseConnection row) => row with { Host = proxy.Host, Port = proxy.Port };

        async Task<long> FirstOpenAsync(DatabaseConnection row)
        {
            proxy.ResetCounters();
            await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
            return proxy.Counters.BytesToClient;
        }

        async Task<long> UnrestrictedFirstOpenAsync(DatabaseConnection row)
        {
            await using var source = new NpgsqlDataSourceBuilder(
                proxy.GetConnectionString(servers.Postgres.GetConnectionString(row.Database))
            ).Build();
            proxy.ResetCounters();
            await using var connection = await source.OpenConnectionAsync(Ct);
            return proxy.Counters.BytesToClient;
        }
    }

    [Theory]
    [InlineData("NeoCommons:Connections:TypeSchemas:1")]
    [InlineData("NeoCommons:Connections:SharedSchemas:0")]
    public async Task Types_of_a_listed_schema_can_be_read_and_written(string setting)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { [setting] = "shared" }
        );
        var row = await app.AddDatabaseAsync();
        await app.DirectAsync(
            row,
            "CREATE SCHEMA shared; CREATE TYPE shared.mood AS ENUM ('good', 'bad'); CREATE TYPE public.color AS ENUM ('red');"
                + "CREATE TYPE shared.place AS (street text)"
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);

        await using var command = new NpgsqlCommand(
            "SELECT 'bad'::shared.mood, ARRAY['good', 'bad']::shared.mood[], 'red'::public.color, $1",
            connection
        );
        command.Parameters.Add(new() { Value = "good", DataTypeName = "shared.mood" });
        await using var reader = await command.ExecuteReaderAsync(Ct);
        Assert.True(await reader.ReadAsync(Ct));
        Assert.Equal("bad", reader.GetString(0));
        Assert.Equal(["good", "bad"], reader.GetFieldValue<string[]>(1));
        Assert.Equal("red", reader.GetString(2));
        Assert.Equal("good", reader.GetString(3));
    }
}
