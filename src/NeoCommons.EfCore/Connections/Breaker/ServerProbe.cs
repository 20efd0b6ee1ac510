using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Asks the server of a row with one host whether it lets anybody in, in sessions of its own.</summary>
/// <param name="source">The pool.</param>
/// <param name="password">What they log in with.</param>
/// <param name="options">The settings.</param>
/// <param name="loggers">For the driver.</param>
/// <param name="time">The clock.</param>
internal sealed class ServerProbe(
    PooledDataSource source,
    PasswordProvider password,
    ConnectionOptions options,
    ILoggerFactory loggers,
    TimeProvider time
) : IDisposable
{
    private readonly Lock _making = new();
    private NpgsqlDataSource? _sessions;
    private bool _isDisposed;

    /// <summary>A breaker that has it asked.</summary>
    public ConnectionBreaker NewBreaker() =>
        new(options.Breaker, time, loggers.CreateLogger<ConnectionBreaker>(), source.Life.Closing)
        {
            ConnectionName = source.Row.Name,
            Probe = AskAsync,
            Opened = () =>
            {
                source.Clear();
                source.EndWaiting();
            },
            Closed = outage => (outage >= options.Breaker.RebuildAfter ? source.Outdated : null)?.Invoke(source),
        };

    /// <summary>Opens one and closes it: why the server is not to be had, or null where it answers, be it with a refusal.</summary>
    public async ValueTask<ConnectionUnavailableException?> AskAsync(CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var timeout = options.Breaker.ProbeTimeout;
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            var session = await source
                .OpenAsync(Sessions().CreateConnection(), null, either.Token)
                .ConfigureAwait(false);
            await using var _ = session.ConfigureAwait(false);
            if (source.Row.Pooler != PoolerMode.None)
            {
                // A pooler lets its clients in while the server is away.
                await DriverCommand
                    .ExecuteAsync(session, "SELECT 1", null, async: true, either.Token)
                    .ConfigureAwait(false);
            }

            return null;
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // The driver wraps what comes out of asking for the password.
            var failure = late.IsCancellationRequested
                ? OpenFailure.Silent(source.Row, timeout, e)
                : e.InnerException as ConnectionUnavailableException ?? OpenFailure.Explain(e, source.Row);
            return failure is not null && source.IsOutage(failure) ? failure : null;
        }
    }

    public void Dispose()
    {
        lock (_making)
        {
            _isDisposed = true;
            _sessions?.Dispose();
        }
    }

    // A login that is under way knows no cancellation (Npgsql 10.0.3): it ends by a timeout of its own.
    private NpgsqlDataSource Sessions()
    {
        lock (_making)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _sessions ??= DataSourceBuilding.BuildAt(
                HostAddress.AllOf(source.Row).First(),
                source.Row,
                password,
                options,
                loggers,
                options.Breaker.ProbeTimeout
            );
        }
    }
}
