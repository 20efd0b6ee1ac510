using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is wrong with single rows; ids as in <see cref="AdminLogMessages"/>.</summary>
internal static partial class RegistryLogMessages
{
    [LoggerMessage(
        5005,
        LogLevel.Error,
        "The row of connection {Connection} cannot be read: if it was known before, that stays in force, else it is not registered. Correct its row in admin.database_connections"
    )]
    public static partial void ConnectionRowUnreadable(ILogger logger, Exception exception, string connection);

    [LoggerMessage(
        5006,
        LogLevel.Error,
        "The row of tenant {Tenant} cannot be read, so it is left out of the list. Correct its row in admin.tenants"
    )]
    public static partial void TenantRowUnreadable(ILogger logger, Exception exception, string tenant);

    [LoggerMessage(
        5007,
        LogLevel.Warning,
        "The admin database did not answer in time, so a tenant is served as it was known last"
    )]
    public static partial void ServingLastKnownTenant(ILogger logger);

    [LoggerMessage(5008, LogLevel.Debug, "Listening for changes of the registry")]
    public static partial void Listening(ILogger logger);

    [LoggerMessage(
        5009,
        LogLevel.Warning,
        "Changes of the registry cannot be listened for; they are looked for periodically until the admin database answers, and it is asked again in {Delay}"
    )]
    public static partial void ListenerLost(ILogger logger, Exception exception, TimeSpan delay);

    [LoggerMessage(
        5015,
        LogLevel.Debug,
        "Changes of the registry cannot be listened for yet; it is tried again in {Delay}"
    )]
    public static partial void ListenerStillLost(ILogger logger, Exception exception, TimeSpan delay);

    [LoggerMessage(5016, LogLevel.Information, "Changes of the registry are listened for again")]
    public static partial void ListenerBack(ILogger logger);

    [LoggerMessage(5010, LogLevel.Error, "An application's listener for changes of the registry has failed")]
    public static partial void ListenerFailed(ILogger logger, Exception exception);

    [LoggerMessage(
        5011,
        LogLevel.Warning,
        "Redis did not answer, so the registry is read from the admin database; Redis is asked again in {Delay}"
    )]
    public static partial void SharedCacheAway(ILogger logger, Exception? exception, TimeSpan delay);

    [LoggerMessage(
        5012,
        LogLevel.Warning,
        "A value in Redis was rejected ({Reason}) and is read from the admin database instead. Somebody else writes there, or DB_ENCRYPTION_KEY differs between processes"
    )]
    public static partial void SharedValueRejected(ILogger logger, string reason);
}
