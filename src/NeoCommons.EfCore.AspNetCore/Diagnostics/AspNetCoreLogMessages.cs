using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Every log message of this package. Event ids: 8000 requests.</summary>
internal static partial class AspNetCoreLogMessages
{
    [LoggerMessage(8001, LogLevel.Debug, "The request was refused: {Problem}")]
    public static partial void RequestRefused(ILogger logger, Exception exception, string problem);

    [LoggerMessage(8002, LogLevel.Warning, "The request could not be served: {Reason}")]
    public static partial void RequestUnavailable(ILogger logger, Exception? exception, string reason);

    [LoggerMessage(8004, LogLevel.Information, "The request could not be served: {Reason}")]
    public static partial void RequestTurnedAway(ILogger logger, string reason);

    [LoggerMessage(8005, LogLevel.Debug, "The request could not be served, as others in the last minute: {Reason}")]
    public static partial void RequestTurnedAwayToo(ILogger logger, string reason);

    [LoggerMessage(8003, LogLevel.Error, "The request was stopped: {Problem}")]
    public static partial void RequestStopped(ILogger logger, Exception exception, string problem);
}
