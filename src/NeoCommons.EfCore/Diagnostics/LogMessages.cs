using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Every log message of this package. Event ids: 1000 connections, 2000 contexts, 3000 health.</summary>
internal static partial class LogMessages
{
    [LoggerMessage(
        1001,
        LogLevel.Information,
        "The row of connection {Connection} has changed: new leases use a new pool, the old one drains"
    )]
    public static partial void DataSourceReplaced(ILogger logger, string connection);

    [LoggerMessage(1002, LogLevel.Warning, "A replaced pool of connection {Connection} could not be closed")]
    public static partial void DrainFailed(ILogger logger, Exception exception, string connection);
}
