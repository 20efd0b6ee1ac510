using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Keeps a tenant that breaks one connection after the other away from the pool, for as long as it does.</summary>
/// <remarks>
/// Some errors say to the driver that the server is in trouble (class 53, 58, F0, XX; Npgsql 10.0.3), and it closes the
/// connection and all idle ones of its pool. SQL can raise them in a loop, and everybody else would log in anew for each of his
/// opens. Such a tenant gets sessions that end when they are closed, under the same limits: what it breaks is its own. A login
/// costs the server more than a query, so that each break keeps the tenant's next opens waiting.
/// Breaks that come from outside, of the network or of an administrator, hit many connections at once, and tenants in turn: what
/// counts is a connection that was opened after the last one broke. Behind a pooler that does not tell them apart, since the
/// pooler lets clients in while its server is away; there a login costs little, and nobody is kept apart. Nor is anybody on a
/// DEDICATED row, where there is nobody else.
/// </remarks>
internal sealed class Quarantine(
    Func<DatabaseConnection> row,
    QuotaOptions options,
    Func<NpgsqlDataSource> build,
    TimeProvider time,
    ILoggerFactory loggers
) : IDisposable
{
    /// <summary>
    /// In this time so many breaks in a row, which no other tenant's interrupts, are one tenant's doing: statements that end so may
    /// take seconds each, until a disk or the memory is full.
    /// </summary>
    internal static readonly TimeSpan Within = TimeSpan.FromMinutes(2);

    /// <summary>How long it lasts after the last one.</summary>
    internal static readonly TimeSpan Lasting = TimeSpan.FromSeconds(30);

    /// <summary>How long each break keeps the tenant's next opens waiting.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>How long they wait at most, however many break at once.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly Lazy<NpgsqlDataSource> _apart = new(build);
    private readonly ILogger _log = loggers.CreateLogger<Quarantine>();
    private readonly Lock _counting = new();
    private TenantLimiter? _last;
    private long _firstAt;
    private long _lastAt;
    private int _inRow;

    /// <summary>Whether the tenant is kept apart now.</summary>
    public bool Holds(TenantLimiter limiter) =>
        Most > 0 && limiter.BrokeAt is var at and not 0 && time.GetElapsedTime(at) < Lasting;

    /// <summary>Sessions of those that are kept apart; where the row names several servers, <see cref="HostPools"/> has them.</summary>
    public NpgsqlDataSource Source => _apart.Value;

    /// <summary>Notes that a connection of the tenant broke in use.</summary>
    /// <param name="limiter">The tenant.</param>
    /// <param name="openedAt">The timestamp of when it was opened.</param>
    /// <returns>Whether that was to be expected, and says nothing of the server.</returns>
    public bool Broke(TenantLimiter limiter, long openedAt)
    {
        if (Most == 0)
        {
            return false;
        }

        var now = time.GetTimestamp();
        lock (_counting)
        {
            if (Holds(limiter))
            {
                limiter.BrokeAt = now;
                limiter.PausedUntil = Math.Min(
                    Math.Max(now, limiter.PausedUntil) + Ticks(Pause),
                    now + Ticks(LongestPause)
                );
                return true;
            }

            if (ReferenceEquals(_last, limiter) && openedAt < _lastAt)
            {
                return false;
            }

            _lastAt = now;
            if (!ReferenceEquals(_last, limiter) || time.GetElapsedTime(_firstAt, now) > Within)
            {
                (_last, _firstAt, _inRow) = (limiter, now, 0);
            }

            if (++_inRow < Most)
            {
                return false;
            }

            _last = null;
            limiter.BrokeAt = now;
        }

        LogMessages.TenantKeptApart(_log, limiter.Tenant.Slug, row().Name, Most, Lasting.TotalSeconds);
        return false;
    }

    /// <summary>How long the tenant opens no connection from now on; zero as a rule.</summary>
    public TimeSpan PauseOf(TenantLimiter? limiter)
    {
        if (limiter is null || !Holds(limiter))
        {
            return TimeSpan.Zero;
        }

        var left = time.GetElapsedTime(time.GetTimestamp(), limiter.PausedUntil);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    public void Dispose()
    {
        if (_apart.IsValueCreated)
        {
            _apart.Value.Dispose();
        }
    }

    // The row may come to be of another type.
    private int Most =>
        row() is { Pooler: PoolerMode.None, Type: not ConnectionType.Dedicated } ? options.TenantMaxBreaks : 0;

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
