using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>Keeps every log line of every level: the text, each named value, the scopes and the exceptions.</summary>
internal sealed class LogRecorder : ILoggerProvider
{
    private readonly ConcurrentQueue<string> _lines = new();

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

    public void Dispose() { }

    private sealed class Logger(string category, ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            lines.Enqueue($"{category} scope: {Describe(state)}");
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            lines.Enqueue($"{category} {logLevel} {eventId.Id}: {formatter(state, exception)} {Describe(state)}");
            if (exception is not null)
            {
                lines.Enqueue(Texts.Of(exception));
            }
        }

        private static string Describe<TState>(TState state) =>
            state is IEnumerable<KeyValuePair<string, object?>> values
                ? string.Join(' ', values.Select(v => $"{v.Key}={Texts.OfValue(v.Value)}"))
                : $"{state}";
    }
}
