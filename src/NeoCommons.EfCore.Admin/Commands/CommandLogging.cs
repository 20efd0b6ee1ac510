using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps the application's log out of a command's result.</summary>
/// <remarks>
/// The host is built already, so this changes the options that the console logger reads at each message: the error stream
/// takes them all. A logger of another kind that writes to stdout must be configured by the application.
/// </remarks>
internal static class CommandLogging
{
    // What the command tells itself, in a line; the log would show the stack trace of it.
    private static readonly string[] ToldByTheCommand = [typeof(MigrationWorker).FullName!, DbLoggerCategory.Name];

    public static void LeadAside(IServiceProvider services, bool verbose)
    {
        if (services.GetService<IOptionsMonitor<ConsoleLoggerOptions>>() is { } console)
        {
            console.CurrentValue.LogToStandardErrorThreshold = LogLevel.Trace;
        }

        // Where the application asks for a category by name, it gets it still.
        if (!verbose && services.GetService<IOptionsMonitor<LoggerFilterOptions>>() is { } filter)
        {
            filter.CurrentValue.Rules.Add(new LoggerFilterRule(null, null, LogLevel.Warning, null));
            foreach (var category in ToldByTheCommand)
            {
                filter.CurrentValue.Rules.Add(new LoggerFilterRule(null, category, LogLevel.None, null));
            }
        }
    }
}
