using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>Refuses what works on a whole database, which a tenant shares with others: create, delete, migrate.</summary>
/// <remarks>
/// <c>Database.Migrate()</c> asks for the database first, and is refused by that: with a schema missing, it would create
/// its tables wherever the search path leads.
/// </remarks>
internal sealed class TenantDatabaseCreator(RelationalDatabaseCreatorDependencies dependencies)
    : RelationalDatabaseCreator(dependencies)
{
    public override bool CanConnect()
    {
        try
        {
            Dependencies.Connection.Open(errorsExpected: true);
            Dependencies.Connection.Close();
            return true;
        }
        catch (ConnectionUnavailableException)
        {
            return false;
        }
    }

    public override async Task<bool> CanConnectAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await Dependencies.Connection.OpenAsync(cancellationToken, errorsExpected: true).ConfigureAwait(false);
            await Dependencies.Connection.CloseAsync().ConfigureAwait(false);
            return true;
        }
        catch (ConnectionUnavailableException)
        {
            return false;
        }
    }

    public override bool Exists() => throw Refusal();

    public override Task<bool> ExistsAsync(CancellationToken cancellationToken = default) => throw Refusal();

    public override bool HasTables() => throw Refusal();

    public override Task<bool> HasTablesAsync(CancellationToken cancellationToken = default) => throw Refusal();

    public override void Create() => throw Refusal();

    public override Task CreateAsync(CancellationToken cancellationToken = default) => throw Refusal();

    public override void Delete() => throw Refusal();

    public override Task DeleteAsync(CancellationToken cancellationToken = default) => throw Refusal();

    private static TenantIsolationException Refusal() =>
        new(
            "Database.Migrate, EnsureCreated and EnsureDeleted work on a whole database, which other tenants share, so a "
                + "tenant's context refuses them. Migrate with 'tenants migrate' (ITenantMigrator), create with 'tenants create' (ITenantProvisioner)."
        );
}
