using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>What is done to tenants; ids as in <see cref="AdminLogMessages"/>.</summary>
internal static partial class LifecycleLogMessages
{
    [LoggerMessage(6101, LogLevel.Information, "{Actor} did {Action} to tenant {Tenant}")]
    public static partial void Changed(ILogger logger, string actor, TenantLifecycleAction action, string tenant);

    [LoggerMessage(
        6102,
        LogLevel.Error,
        "{Handler} failed after {Action} of tenant {Tenant}; the change itself stands"
    )]
    public static partial void HandlerFailed(
        ILogger logger,
        Exception exception,
        string handler,
        TenantLifecycleAction action,
        string tenant
    );

    [LoggerMessage(
        6103,
        LogLevel.Warning,
        "Tenant {Tenant} is deleted, but its role {Role} could not be dropped. Let its creator or a superuser execute: DROP OWNED BY {Role}; DROP ROLE {Role}"
    )]
    public static partial void RoleNotDropped(ILogger logger, Exception exception, string tenant, string role);

    [LoggerMessage(
        6104,
        LogLevel.Warning,
        "The warm pool of connection {Connection} could not be refilled; new tenants there are made as without it"
    )]
    public static partial void RefillFailed(ILogger logger, Exception exception, string connection);
}
