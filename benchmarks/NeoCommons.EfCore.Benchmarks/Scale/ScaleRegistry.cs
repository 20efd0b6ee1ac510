using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>An admin database on the server of the tenants, and applications that read it.</summary>
internal sealed class ScaleRegistry
{
    private readonly PostgresServer _server;
    private readonly string _database;
    private readonly string _key = EncryptionKey.New();

    private ScaleRegistry(PostgresServer server, string database) => (_server, _database) = (server, database);

    /// <summary>Makes the database, with a row for the server and one for each tenant.</summary>
    /// <param name="server">Whose maintenance database holds the tenants' schemas.</param>
    /// <param name="tenants">The tenants.</param>
    /// <param name="poolSize">The size of our pool.</param>
    public static async Task<ScaleRegistry> CreateAsync(
        PostgresServer server,
        IReadOnlyCollection<Tenant> tenants,
        int poolSize
    )
    {
        var registry = new ScaleRegistry(server, await server.CreateDatabaseAsync());
        using var app = registry.Build();
        await app.Services.MigrateAdminDatabaseAsync();
        await using var context = await app
            .Services.GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync();
        var database = new NpgsqlConnectionStringBuilder(server.ConnectionString).Database!;
        var row = new DatabaseConnectionEntity
        {
            ConnectionName = MemoryRegistry.Connection,
            ConnectionType = ConnectionType.Dedicated,
            Host = server.Host,
            Port = server.Port,
            DatabaseName = database,
            Username = server.Username,
            EncryptedPassword = await app
                .Services.GetRequiredService<ISecretProtector>()
                .ProtectAsync(server.Password, new SecretTarget(server.Host, server.Port, database, server.Username)),
            SslMode = SslMode.Disable,
            PoolMinSize = 0,
            PoolMaxSize = poolSize,
            // None of the others tries connections that sat idle.
            PoolPrePing = false,
        };
        context.DatabaseConnections.Add(row);
        await context.SaveChangesAsync();
        await context.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO admin.tenants (id, slug, name, schema_name, connection_id)
            SELECT id, slug, slug, schema, {row.Id}
            FROM unnest({tenants.Select(t => t.Id.Value).ToArray()}, {tenants.Select(t => t.Slug).ToArray()}, {tenants
                .Select(t => t.Schema.Value)
                .ToArray()}) AS t (id, slug, schema)
            """
        );

        // Nobody else does within an hour.
        await context.Database.ExecuteSqlAsync($"VACUUM ANALYZE admin.tenants");
        return registry;
    }

    /// <summary>Starts an application, which follows the registry.</summary>
    public async Task<IHost> StartAsync()
    {
        var app = Build();
        await app.StartAsync();
        return app;
    }

    private IHost Build()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = _server.GetConnectionString(_database),
                ["DB_ENCRYPTION_KEY"] = _key,
            }
        );
        builder
            .Services.AddNeoCommons(builder.Configuration)
            .UseAdminDatabase()
            .AddPooledTenantDbContext<WideSearchPathContext>()
            .AddPooledTenantDbContext<WideQualifiedContext>(o => o.UseSchemaBinding(SchemaBinding.QualifiedNames));
        return builder.Build();
    }
}
