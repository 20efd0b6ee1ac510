using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Keeps what is logged, of every level. Its file is linked into the projects whose tests read it.</summary>
public sealed class LogLines : ILoggerProvider
{
    public ConcurrentQueue<(LogLevel Level, EventId Event, string Text, Exception? Exception)> All { get; } = new();

    /// <summary>The texts of one message.</summary>
    public IReadOnlyList<string> Of(int id) => [.. All.Where(line => line.Event.Id == id).Select(line => line.Text)];

    public ILogger CreateLogger(string categoryName) => new Logger(this);

    public void Dispose() { }

    private sealed class Logger(LogLines lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => lines.All.Enqueue((logLevel, eventId, formatter(state, exception), exception));
    }
}
