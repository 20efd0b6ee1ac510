using Microsoft.Extensions.Logging.Abstractions;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>The breaker by itself, where what happens at the same time decides.</summary>
public sealed class BreakerAloneTests
{
    private static readonly ConnectionUnavailableException Away = new(
        "alone",
        ConnectionUnavailableReason.Unreachable,
        "It does not answer."
    );

    [Fact]
    public async Task Failures_that_come_while_it_closes_are_looked_after()
    {
        using var pool = new CancellationTokenSource();
        var options = new ConnectionBreakerOptions();
        var (isAway, closed) = (true, 0);
        ConnectionBreaker breaker = null!;
        breaker = new ConnectionBreaker(options, TimeProvider.System, NullLogger.Instance, pool.Token)
        {
            ConnectionName = "alone",
            Probe = _ => new(Volatile.Read(ref isAway) ? Away : null),
            Closed = _ =>
            {
                // The server goes again in this moment; whoever sees it sees too that it is being asked.
                if (Interlocked.Increment(ref closed) == 1)
                {
                    FailUntilOpen(breaker);
                }
            },
        };
        FailUntilOpen(breaker);

        Volatile.Write(ref isAway, false);

        await Eventually.TrueAsync(() => Volatile.Read(ref closed) == 2 && !breaker.IsOpen && !breaker.IsWatching);
        await pool.CancelAsync();
    }

    private static void FailUntilOpen(ConnectionBreaker breaker)
    {
        while (!breaker.IsOpen)
        {
            breaker.Failed(Away);
        }
    }
}
