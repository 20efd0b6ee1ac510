using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Every log message of this package. Event ids: 5000 registry, 6000 tenants and migrations.</summary>
internal static partial class AdminLogMessages
{
    [LoggerMessage(
        5001,
        LogLevel.Error,
        "The password of connection {Connection} cannot be read, so only that connection is unavailable: {Fault}"
    )]
    public static partial void SecretUnreadable(ILogger logger, string connection, string fault);

    [LoggerMessage(5002, LogLevel.Information, "The row of connection {Connection} has changed")]
    public static partial void ConnectionChanged(ILogger logger, string connection);

    [LoggerMessage(
        5003,
        LogLevel.Error,
        "The registry could not be loaded from the admin database; its first use tries again"
    )]
    public static partial void RegistryNotLoaded(ILogger logger, Exception exception);

    [LoggerMessage(
        5004,
        LogLevel.Warning,
        "The registry could not be read again; what was known before stays in force"
    )]
    public static partial void RegistryNotRefreshed(ILogger logger, Exception exception);

    [LoggerMessage(5023, LogLevel.Warning, "Tenants that lack migrations could not be counted")]
    public static partial void TenantsNotCounted(ILogger logger, Exception exception);

    [LoggerMessage(
        5022,
        LogLevel.Warning,
        "The admin database could not be asked how processes share their servers' connections, and is asked every second. Until then this process keeps what it has: {Parts}. It needs the table admin.server_leases (migrate the admin database) and the right to write it"
    )]
    public static partial void ServersNotShared(ILogger logger, Exception exception, string parts);

    [LoggerMessage(5024, LogLevel.Information, "Processes agree again on how they share their servers' connections")]
    public static partial void ServersSharedAgain(ILogger logger);

    [LoggerMessage(
        5014,
        LogLevel.Warning,
        "The admin database cannot be used, so its schema was not brought up to date (MigrateOnStart) and the registry was taken from Redis. It is done when the admin database answers"
    )]
    public static partial void StartedFromSharedCache(ILogger logger, Exception exception);

    [LoggerMessage(
        5013,
        LogLevel.Warning,
        "Old rows of admin.registry_changes could not be deleted; it is tried again in an hour. The role of the admin database needs DELETE on that table"
    )]
    public static partial void RegistryLogNotPruned(ILogger logger, Exception exception);

    [LoggerMessage(
        5020,
        LogLevel.Warning,
        "{Count} passwords of active connections are bound to no host, port, database and user, so a copy of one, or a changed host, would not be noticed. 'keys rotate' binds them"
    )]
    public static partial void UnboundSecrets(ILogger logger, int count);

    [LoggerMessage(
        5021,
        LogLevel.Error,
        "The row of connection {Connection} holds values that cannot be used, so only that connection is unavailable: {Faults}. Correct its row in admin.database_connections"
    )]
    public static partial void ConnectionRowRefused(ILogger logger, string connection, string faults);

    [LoggerMessage(
        6001,
        LogLevel.Information,
        "Tenant {Tenant} was created in schema {Schema} of connection {Connection}"
    )]
    public static partial void TenantCreated(ILogger logger, string tenant, string schema, string connection);

    [LoggerMessage(
        6002,
        LogLevel.Error,
        "Tenant {Tenant} could not be created, and the row that reserved its name could not be removed: create it again to finish"
    )]
    public static partial void CompensationFailed(ILogger logger, Exception exception, string tenant);

    [LoggerMessage(
        6005,
        LogLevel.Error,
        "Tenant {Tenant} could not be created, and its schema holds objects: create it again to finish"
    )]
    public static partial void CreationUnfinished(ILogger logger, string tenant);

    [LoggerMessage(6003, LogLevel.Information, "Tenant {Tenant} was migrated from {From} to {To}")]
    public static partial void TenantMigrated(ILogger logger, string tenant, string from, string to);

    [LoggerMessage(6004, LogLevel.Error, "Tenant {Tenant} could not be migrated")]
    public static partial void MigrationFailed(ILogger logger, Exception exception, string tenant);

    [LoggerMessage(
        6006,
        LogLevel.Warning,
        "Tenant {Tenant} is migrated to {Version}, but schema_version could not be written; the next run writes it"
    )]
    public static partial void VersionNotWritten(ILogger logger, Exception exception, string tenant, string version);

    [LoggerMessage(
        6050,
        LogLevel.Information,
        "The shared tables behind connection {Connection} were migrated from {From} to {To}"
    )]
    public static partial void SharedMigrated(ILogger logger, string connection, string from, string to);

    [LoggerMessage(
        6007,
        LogLevel.Warning,
        "The pool of connection {Connection} could not read its types again after a migration; new types may be unknown to it until the process restarts"
    )]
    public static partial void TypesNotReloaded(ILogger logger, Exception exception, string connection);

    [LoggerMessage(6008, LogLevel.Warning, "The migration of tenant {Tenant} is tried again: {Reason}")]
    public static partial void MigrationRetried(ILogger logger, string tenant, string reason);

    [LoggerMessage(
        6009,
        LogLevel.Warning,
        "The admin database could not be told how the migration run stands; what is migrated is migrated, and another runner may go on"
    )]
    public static partial void RunNotHeardOf(ILogger logger, Exception exception);

    [LoggerMessage(
        6010,
        LogLevel.Error,
        "The shared tables behind connection {Connection} could not be migrated, so none of its tenants is: {Reason}"
    )]
    public static partial void SharedNotMigrated(ILogger logger, string connection, string reason);
}
