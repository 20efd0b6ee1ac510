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

    [LoggerMessage(
        1003,
        LogLevel.Warning,
        "A server refused the password of connection {Connection}, and its row could not be read again"
    )]
    public static partial void RowNotRefreshed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(
        1004,
        LogLevel.Warning,
        "The pool of connection {Connection} could not be compared with its row, which has changed; the next lease compares them"
    )]
    public static partial void ChangeNotFollowed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(
        1011,
        LogLevel.Warning,
        "Leases of connection {Connection} have outlived DrainTimeout, and its row leads elsewhere by now: the server is asked to end their sessions"
    )]
    public static partial void LeftBehindEnded(ILogger logger, string connection);

    [LoggerMessage(1100, LogLevel.Information, "Host {Host} of connection {Connection} serves")]
    public static partial void HostServes(ILogger logger, string connection, string host);

    [LoggerMessage(1101, LogLevel.Warning, "Host {Host} of connection {Connection} serves nobody: {Why}")]
    public static partial void HostServesNot(ILogger logger, string connection, string host, string why);

    [LoggerMessage(1102, LogLevel.Error, "The hosts of connection {Connection} could not be looked at")]
    public static partial void LookFailed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(
        1103,
        LogLevel.Warning,
        "Nothing is opened at host {Host} of connection {Connection} until it answers: it says nothing"
    )]
    public static partial void HostLeftOut(ILogger logger, string connection, string host);

    [LoggerMessage(
        1104,
        LogLevel.Warning,
        "Host {Host} of connection {Connection} tells no timeline, and is not fenced: if it is replaced and comes back as a primary, it is used. Let the role execute pg_walfile_name and pg_current_wal_lsn"
    )]
    public static partial void HostNotFenced(ILogger logger, string connection, string host);

    [LoggerMessage(
        1105,
        LogLevel.Warning,
        "The hosts of connection {Connection} have all answered for half a minute, and none is at the newest timeline that was seen: it is forgotten, and {Timeline} is the newest now"
    )]
    public static partial void TimelineForgotten(ILogger logger, string connection, long timeline);

    [LoggerMessage(
        1005,
        LogLevel.Warning,
        "Connection {Connection} is out of order, and callers are refused until it answers: {Reason}"
    )]
    public static partial void BreakerOpened(ILogger logger, string connection, string? reason);

    [LoggerMessage(1006, LogLevel.Information, "Connection {Connection} answers again, after {Seconds:0.0} s")]
    public static partial void BreakerClosed(ILogger logger, string connection, double seconds);

    [LoggerMessage(1007, LogLevel.Error, "Connection {Connection} could not be looked at")]
    public static partial void BreakerFailed(ILogger logger, Exception exception, string connection);

    [LoggerMessage(
        1008,
        LogLevel.Information,
        "Connection {Connection} is built anew: new leases use the new pool, the old one drains"
    )]
    public static partial void PoolRebuilt(ILogger logger, string connection);

    [LoggerMessage(
        1009,
        LogLevel.Warning,
        "Connection {Connection} is out of order, and connection {Failover} is used in its place"
    )]
    public static partial void FailedOver(ILogger logger, string connection, string failover);

    [LoggerMessage(
        1010,
        LogLevel.Warning,
        "Tenant {Tenant} has broken {Count} connections of {Connection} in a row, and with each of them the driver closes the idle ones of all: its connections are opened apart from the pool until it has broken none for {Seconds} s. Look for SQL of it that raises errors of class 53, 58, F0 or XX"
    )]
    public static partial void TenantKeptApart(
        ILogger logger,
        string tenant,
        string connection,
        int count,
        double seconds
    );

    [LoggerMessage(
        3001,
        LogLevel.Warning,
        "The connections could not be looked at; health checks report what was seen before"
    )]
    public static partial void ConnectionsNotLookedAt(ILogger logger, Exception exception);

    [LoggerMessage(
        3002,
        LogLevel.Warning,
        "The catalog of connection {Connection} could not be counted in the time of a look; it is tried again after {Seconds:0.###} s. It says nothing of the connection: raise NeoCommons:Health:Timeout where the catalog is large"
    )]
    public static partial void CatalogNotCounted(
        ILogger logger,
        Exception exception,
        string connection,
        double seconds
    );
}
