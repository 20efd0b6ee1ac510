using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Database;

/// <summary>What is used in another connection's place has no tenants of its own, whichever comes first.</summary>
public sealed class FailoverConnectionTests(TestServers servers)
{
    private const string Name =
        "UPDATE admin.database_connections SET failover_connection = 'db2' WHERE connection_name = 'db1'";

    private const string Place =
        "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT 'acme', 'n', 's1', id "
        + "FROM admin.database_connections WHERE connection_name = 'db2'";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_with_tenants_cannot_be_named()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync(Place);

        var refused = await Assert.ThrowsAsync<PostgresException>(() => app.AdminAsync(Name));

        Assert.Equal("failover_has_no_tenants", refused.ConstraintName);
    }

    [Fact]
    public async Task A_connection_that_is_named_takes_no_tenant_by_whatever_way()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.CreateTenantAsync("bolt", "db1");
        await app.AdminAsync(Name);

        foreach (
            var way in new[]
            {
                Place,
                "UPDATE admin.tenants SET connection_id = (SELECT id FROM admin.database_connections WHERE connection_name = 'db2')",
            }
        )
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => app.AdminAsync(way));
            Assert.Equal("failover_has_no_tenants", refused.ConstraintName);
        }

        var conflict = await Assert.ThrowsAsync<TenantConflictException>(() => app.CreateTenantAsync("acme", "db2"));
        Assert.Contains("failover_connection", conflict.Message, StringComparison.Ordinal);
        var placed = await app.Provisioner.CreateAsync(new NewTenant { Slug = "corp", Name = "corp" }, Ct);
        Assert.Equal("db1", placed.ConnectionName);
    }

    [Theory]
    [InlineData(Name, Place)]
    [InlineData(Place, Name)]
    public async Task Of_two_who_name_it_and_place_a_tenant_there_at_once_the_second_is_refused(
        string first,
        string second
    )
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await using var connection = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await connection.OpenAsync(Ct);
        await using var transaction = await connection.BeginTransactionAsync(Ct);
        await using (var command = new NpgsqlCommand(first, connection))
        {
            await command.ExecuteNonQueryAsync(Ct);
        }

        var waiting = Assert.ThrowsAsync<PostgresException>(() => app.AdminAsync(second));
        await Eventually.TrueAsync(async () =>
            await app.AdminAsync("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") is > 0L
        );
        await transaction.CommitAsync(Ct);

        Assert.Equal("failover_has_no_tenants", (await waiting).ConstraintName);
    }

    [Fact]
    public async Task The_reference_follows_a_new_name_and_keeps_the_row_it_names()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        await app.AdminAsync(Name);
        await app.AdminAsync(
            "UPDATE admin.database_connections SET connection_name = 'spare', replica_hosts = 'b:5433, c', failover_writes = false "
                + "WHERE connection_name = 'db2'"
        );
        await app.AdminAsync(
            "UPDATE admin.database_connections SET failover_writes = true WHERE connection_name = 'db1'"
        );
        await app.ReloadAsync();

        var registry = app.Get<IConnectionRegistry>();
        var row = (await registry.FindAsync("db1", Ct))!;
        Assert.Equal(("spare", true), (row.FailoverConnection, row.FailoverWrites));
        Assert.Equal(ReplicaHosts.Parse("b:5433,c"), (await registry.FindAsync("spare", Ct))!.ReplicaHosts);
        var kept = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync("DELETE FROM admin.database_connections WHERE connection_name = 'spare'")
        );
        Assert.Equal(PostgresErrorCodes.ForeignKeyViolation, kept.SqlState);
    }
}
