using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Database;

/// <summary>What the admin schema accepts and refuses, seen by plain SQL.</summary>
public sealed class AdminSchemaTests(TestServers servers)
{
    // features.md S1, verbatim.
    private const string Insert = """
        INSERT INTO admin.database_connections (
            id, connection_name, connection_type, region_id,
            host, port, database_name, username, encrypted_password,
            ssl_mode, pool_min_size, pool_max_size,
            pool_timeout_seconds, is_active
        ) VALUES (
            gen_random_uuid(), 'tenant-db-us', 'SHARED', 'us-east',
            'tenant-db.example.com', 5432, 'neofast_shared_us',
            'app_user', 'encrypted_password_here',
            'require', 5, 20, 30, true
        );
        """;

    [Fact]
    public async Task The_insert_of_the_library_that_is_replaced_runs_verbatim()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);

        await app.AdminAsync(Insert);
        await app.ReloadAsync();

        var row = await app.Get<IConnectionRegistry>().FindAsync("tenant-db-us", TestContext.Current.CancellationToken);
        Assert.NotNull(row);
        Assert.Equal(
            (ConnectionType.Shared, "us-east", "tenant-db.example.com", 5432, "neofast_shared_us", "app_user"),
            (row.Type, row.RegionId, row.Host, row.Port, row.Database, row.Username)
        );
        Assert.Equal(
            (5, 20, TimeSpan.FromSeconds(30), SslMode.Require),
            (row.MinPoolSize, row.MaxPoolSize, row.PoolTimeout, row.SslMode)
        );
        Assert.Equal(
            (TimeSpan.FromHours(1), true, PoolerMode.None, true),
            (row.PoolRecycle, row.PrePing, row.Pooler, row.IsActive)
        );
    }

    [Fact]
    public async Task Every_other_column_has_a_default()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);

        await app.AdminAsync(
            "INSERT INTO admin.database_connections (connection_name, host, database_name, username, encrypted_password) "
                + "VALUES ('bare', 'db', 'd', 'u', 'x')"
        );
        await app.AdminAsync(
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 'acme', 'Acme', 'tenant_acme', id FROM admin.database_connections"
        );
        await app.ReloadAsync();

        var row = await app.Get<IConnectionRegistry>().FindAsync("bare", TestContext.Current.CancellationToken);
        var expected = new DatabaseConnection
        {
            Name = "bare",
            Host = "db",
            Database = "d",
            Username = "u",
            Password = row!.Password,
        };
        Assert.Equal(expected, row);
        var tenant = await app.Get<ITenantStore>().FindBySlugAsync("acme", TestContext.Current.CancellationToken);
        Assert.Equal(
            (TenantStatus.Active, "tenant_acme", "bare"),
            (tenant!.Status, tenant.Schema.Value, tenant.ConnectionName)
        );
    }

    [Theory]
    [InlineData("'tenant-db.example.com'", 5432, "'neofast_shared_us'")]
    [InlineData("'TENANT-DB.Example.com'", 5432, "'neofast_shared_us'")]
    [InlineData("'tenant-db.example.com.'", 5432, "'neofast_shared_us'")]
    public async Task Two_rows_that_name_one_physical_database_are_refused(string host, int port, string database)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        await app.AdminAsync(Insert);

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync(
                "INSERT INTO admin.database_connections (connection_name, host, port, database_name, username, encrypted_password) "
                    + $"VALUES ('other', {host}, {port}, {database}, 'other_user', 'x')"
            )
        );

        Assert.Equal(PostgresErrorCodes.UniqueViolation, refused.SqlState);
        Assert.Equal("ux_database_connections_physical_database", refused.ConstraintName);
    }

    [Theory]
    [InlineData("connection_name", "''", "ck_database_connections_connection_name")]
    [InlineData("connection_name", "'admin-database'", "ck_database_connections_connection_name")]
    [InlineData("connection_type", "'shared'", "ck_database_connections_connection_type")]
    [InlineData("host", "''", "ck_database_connections_host")]
    [InlineData("host", "'a,b'", "ck_database_connections_host")]
    [InlineData("host", "'/var/run/postgresql'", "ck_database_connections_host")]
    [InlineData("host", "'@abstract'", "ck_database_connections_host")]
    [InlineData("host", "'a b'", "ck_database_connections_host")]
    [InlineData("port", "0", "ck_database_connections_port")]
    [InlineData("port", "65536", "ck_database_connections_port")]
    [InlineData("database_name", "''", "ck_database_connections_database_name")]
    [InlineData("username", "repeat('u', 64)", "ck_database_connections_username")]
    [InlineData("ssl_mode", "'on'", "ck_database_connections_ssl_mode")]
    [InlineData("pool_min_size", "21", "ck_database_connections_pool_size")]
    [InlineData("pool_min_size", "-1", "ck_database_connections_pool_size")]
    [InlineData("pool_max_size", "1000000", "ck_database_connections_pool_size")]
    [InlineData("pool_timeout_seconds", "0", "ck_database_connections_pool_timeout_seconds")]
    [InlineData("pool_recycle_seconds", "-1", "ck_database_connections_pool_recycle_seconds")]
    [InlineData("pooler", "'statement'", "ck_database_connections_pooler")]
    [InlineData("replica_hosts", "''", "ck_database_connections_replica_hosts")]
    [InlineData("replica_hosts", "'b,/tmp'", "ck_database_connections_replica_hosts")]
    [InlineData("failover_connection", "connection_name", "ck_database_connections_failover_connection")]
    [InlineData("failover_writes", "true", "ck_database_connections_failover_writes")]
    public async Task A_value_that_could_not_work_is_refused_by_the_database(
        string column,
        string value,
        string constraint
    )
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        await app.AdminAsync(Insert);

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync($"UPDATE admin.database_connections SET {column} = {value}")
        );

        Assert.Equal((PostgresErrorCodes.CheckViolation, constraint), (refused.SqlState, refused.ConstraintName));
    }

    [Theory]
    [InlineData("slug", "'Acme'")]
    [InlineData("slug", "'a'")]
    [InlineData("slug", "E'acme\\n'")]
    [InlineData("slug", "'0f8fad5b-d9cb-469f-a165-70867728950e'")]
    [InlineData("slug", "'0f8fad5bd9cb469fa16570867728950e'")]
    [InlineData("name", "''")]
    [InlineData("status", "'ACTIVE'")]
    [InlineData("limits", "'[]'")]
    [InlineData("schema_name", "'public'")]
    [InlineData("schema_name", "'admin'")]
    [InlineData("schema_name", "'tenant_template'")]
    public async Task A_tenant_that_could_not_work_is_refused_by_the_database(string column, string value)
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync($"UPDATE admin.tenants SET {column} = {value}")
        );

        Assert.Equal(PostgresErrorCodes.CheckViolation, refused.SqlState);
    }

    [Fact]
    public async Task A_schema_belongs_to_one_tenant_of_a_database_and_to_another_of_another()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 2);
        const string insert =
            "INSERT INTO admin.tenants (slug, name, schema_name, connection_id) SELECT '{0}', 'n', 's1', id "
            + "FROM admin.database_connections WHERE connection_name = '{1}'";
        await app.AdminAsync(string.Format(insert, "t1", "db1"));
        await app.AdminAsync(string.Format(insert, "t2", "db2"));

        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            app.AdminAsync(string.Format(insert, "t3", "db1"))
        );

        Assert.Equal("ux_tenants_connection_id_schema_name", refused.ConstraintName);
    }

    [Fact]
    public async Task The_check_on_schema_names_says_what_SchemaName_says()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("acme");
        var random = new Random(20261123);
        string[] parts =
        [
            "a",
            "_",
            "pg_",
            "PG_",
            "public",
            "Public",
            "information_schema",
            "$user",
            "\"",
            "'",
            "é",
            "€",
            "😀",
            " ",
            "\t",
            "\u0001",
            "\u007f",
            "\u0085",
            "neocommons_no_tenant",
            new string('x', 60),
            "\\",
        ];
        var names = Enumerable
            .Range(0, 3000)
            .Select(_ =>
                string.Concat(Enumerable.Range(0, random.Next(0, 4)).Select(_ => parts[random.Next(parts.Length)]))
            )
            .Except(["admin", "shared", "tenant_template"])
            .Distinct()
            .ToList();
        Assert.Contains(names, name => SchemaName.TryParse(name, out _));
        Assert.Contains(names, name => !SchemaName.TryParse(name, out _));

        await using var connection = new NpgsqlConnection(app.AdminConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        foreach (var name in names)
        {
            await using var command = new NpgsqlCommand("UPDATE admin.tenants SET schema_name = $1", connection)
            {
                Parameters = { new() { Value = name } },
            };
            var accepted = true;
            try
            {
                await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.CheckViolation)
            {
                accepted = false;
            }

            Assert.True(
                accepted == SchemaName.TryParse(name, out _),
                $"'{name}' is {(accepted ? "accepted" : "refused")} by the database only."
            );
        }
    }

    [Fact]
    public async Task Processes_that_start_together_migrate_the_admin_schema_once()
    {
        var database = await servers.Postgres.CreateDatabaseAsync(ct: TestContext.Current.CancellationToken);
        var hosts = Enumerable.Range(0, 6).Select(_ => TestApp.BuildHost(servers.Postgres, database)).ToList();

        await Task.WhenAll(
            hosts.Select(host =>
                Task.Run(() =>
                    Microsoft.Extensions.DependencyInjection.AdminDatabaseBuilderExtensions.MigrateAdminDatabaseAsync(
                        host.Services,
                        TestContext.Current.CancellationToken
                    )
                )
            )
        );

        hosts.ForEach(host => host.Dispose());
    }

    [Fact]
    public async Task The_model_has_no_change_that_a_migration_lacks_and_updates_set_the_time()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        await using var context = await app.Get<Microsoft.EntityFrameworkCore.IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync(TestContext.Current.CancellationToken);
        Assert.False(
            Microsoft.EntityFrameworkCore.RelationalDatabaseFacadeExtensions.HasPendingModelChanges(context.Database)
        );

        await app.AdminAsync(Insert);
        await app.AdminAsync("UPDATE admin.database_connections SET is_active = false");
        Assert.Equal(true, await app.AdminAsync("SELECT updated_at > created_at FROM admin.database_connections"));
    }
}
