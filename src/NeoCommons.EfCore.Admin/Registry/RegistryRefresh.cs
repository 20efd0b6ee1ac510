using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Loads the registry when the host starts and keeps it fresh.</summary>
internal sealed class RegistryRefresh(
    AdminConnectionRegistry connections,
    AdminTenantStore tenants,
    AdminMigration migration,
    IOptions<AdminDatabaseOptions> options,
    TimeProvider time,
    ILogger<RegistryRefresh> log
) : BackgroundService, IRegistryReload
{
    public async Task ReloadAsync(CancellationToken ct = default)
    {
        await connections.ReloadAsync(ct).ConfigureAwait(false);
        await tenants.ForgetAsync(ct).ConfigureAwait(false);
    }

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.MigrateOnStart)
        {
            await migration.MigrateAsync(cancellationToken).ConfigureAwait(false);
        }

        try
        {
            await connections.ReloadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // The database may come up after us: the first use asks again, and the health check tells.
            AdminLogMessages.RegistryNotLoaded(log, e);
        }

        if (connections.Audit.KeyIsWrong)
        {
            throw new SecretDecryptionException(
                $"{FernetKeys.Variable} is not the key of this registry: none of the {connections.Audit.OfAnotherKey} encrypted "
                    + "passwords of active connections in admin.database_connections was written with it. Set the key "
                    + "that wrote them; for a new key, put it first in the list and keep the old one behind a comma."
            );
        }

        await base.StartAsync(cancellationToken).ConfigureAwait(false);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.RefreshInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            try
            {
                await connections.ReloadAsync(stoppingToken).ConfigureAwait(false);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                AdminLogMessages.RegistryNotRefreshed(log, e);
            }
        }
    }
}
