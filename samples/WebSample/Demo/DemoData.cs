using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace WebSample.Demo;

/// <summary>
/// With throwaway servers: registers their databases, creates three tenants and fills their shops. With a database of
/// yours and <c>--seed=true</c>: fills the shops of the active tenants that have no product yet. Otherwise: nothing.
/// </summary>
internal sealed class DemoData(
    IDbContextFactory<AdminDbContext> admin,
    ISecretProtector secrets,
    IRegistryReload registry,
    ITenantProvisioner provisioner,
    ITenantStore tenants,
    ShopImport import,
    IConfiguration configuration,
    DemoServers? servers = null
) : IHostedService
{
    private static readonly (string Slug, string Name, string Connection)[] Tenants =
    [
        ("acme", "Acme Corporation", "shop-eu"),
        ("globex", "Globex Corporation", "shop-eu"),
        ("initech", "Initech", "shop-us"),
    ];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (servers is not null)
        {
            await RegisterAsync(servers, cancellationToken);
            await Task.WhenAll(Tenants.Select(t => CreateAsync(t.Slug, t.Name, t.Connection, cancellationToken)));
        }

        if (servers is not null || configuration.GetValue<bool>("seed"))
        {
            await FillAsync(cancellationToken);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task RegisterAsync(DemoServers demo, CancellationToken ct)
    {
        await using var context = await admin.CreateDbContextAsync(ct);
        foreach (var (connection, server) in demo.ByConnection)
        {
            var row = await DescribeAsync(connection, server, ct);
            context.DatabaseConnections.Add(row);
        }

        await context.SaveChangesAsync(ct);
        await registry.ReloadAsync(ct);
    }

    private async Task<DatabaseConnectionEntity> DescribeAsync(
        string connection,
        PostgresServer server,
        CancellationToken ct
    )
    {
        var database = await server.CreateDatabaseAsync(ct: ct);
        var target = new SecretTarget(server.Host, server.Port, database, server.Username);
        return new DatabaseConnectionEntity
        {
            ConnectionName = connection,
            RegionId = connection["shop-".Length..],
            Host = target.Host,
            Port = target.Port,
            DatabaseName = target.Database,
            Username = target.Username,
            EncryptedPassword = await secrets.ProtectAsync(server.Password, target, ct),
            SslMode = new NpgsqlConnectionStringBuilder(server.ConnectionString).SslMode,
        };
    }

    private Task<Tenant> CreateAsync(string slug, string name, string connection, CancellationToken ct) =>
        provisioner.CreateAsync(
            new NewTenant
            {
                Slug = slug,
                Name = name,
                ConnectionName = connection,
            },
            ct
        );

    private async Task FillAsync(CancellationToken ct)
    {
        Console.WriteLine("Filling the shops ...");
        var active = await tenants.ListAsync(ct).Where(t => t.Status == TenantStatus.Active).ToListAsync(ct);
        await Parallel.ForEachAsync(active, ct, async (tenant, token) => await import.FillIfEmptyAsync(tenant, token));
    }
}
