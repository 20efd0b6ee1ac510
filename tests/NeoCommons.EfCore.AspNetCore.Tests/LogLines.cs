using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.AspNetCore.Tests;

/// <summary>Keeps what is logged.</summary>
public sealed class LogLines : ILoggerProvider
{
    public ConcurrentQueue<(LogLevel Level, EventId Event, Exception? Exception)> All { get; } = new();

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
        ) => lines.All.Enqueue((logLevel, eventId, exception));
    }
}
