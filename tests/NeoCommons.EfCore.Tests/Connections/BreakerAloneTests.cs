using Microsoft.Extensions.Logging.Abstractions;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>The breaker by itself, where what happens at the same time decides.</summary>
public sealed class BreakerAloneTests(TestServers servers)
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

    [Fact]
    public async Task What_was_begun_before_the_server_answered_says_nothing_of_it()
    {
        using var pool = new CancellationTokenSource();
        var isAway = true;
        var opened = 0;
        var breaker = new ConnectionBreaker(new(), TimeProvider.System, NullLogger.Instance, pool.Token)
        {
            ConnectionName = "alone",
            Probe = _ => new(Volatile.Read(ref isAway) ? Away : null),
            Opened = () => Interlocked.Increment(ref opened),
        };
        var started = breaker.Timestamp;
        FailUntilOpen(breaker);
        Volatile.Write(ref isAway, false);
        await Eventually.TrueAsync(() => !breaker.IsOpen && !breaker.IsWatching);

        // Logins at a silent server end all together, when it is well again.
        for (var i = 0; i < 20; i++)
        {
            breaker.Failed(Away, started);
        }

        Assert.False(breaker.IsOpen);
        FailUntilOpen(breaker);
        Assert.Equal(2, opened);
        await pool.CancelAsync();
    }

    [Fact]
    public async Task Failures_of_a_server_that_is_well_in_between_do_not_add_up()
    {
        using var pool = new CancellationTokenSource();
        var breaker = new ConnectionBreaker(new(), TimeProvider.System, NullLogger.Instance, pool.Token)
        {
            ConnectionName = "alone",
            Probe = _ => new((ConnectionUnavailableException?)null),
            Opened = () => Assert.Fail("It answers each question."),
        };
        for (var i = 0; i < 10; i++)
        {
            breaker.Failed(Away);
            await Eventually.TrueAsync(() => !breaker.IsWatching);
        }

        Assert.False(breaker.IsOpen);
        await pool.CancelAsync();
    }

    [Fact]
    public async Task Who_comes_to_a_queue_after_all_were_refused_does_not_wait_in_it()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var source = await app.AcquireAsync((await app.AddDatabaseAsync(r => r with { Port = 1 })).Name);
        FailUntilOpen(source.Breaker);
        var gate = new FairGate(0);

        var outcome = await gate.TakeAsync(
                default,
                int.MaxValue,
                TimeSpan.FromMinutes(1),
                TimeProvider.System,
                CancellationToken.None,
                async: true,
                TestContext.Current.CancellationToken,
                source
            )
            .AsTask()
            .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal((GateOutcome.Ended, 0), (outcome, gate.Waiting));
    }

    private static void FailUntilOpen(ConnectionBreaker breaker)
    {
        while (!breaker.IsOpen)
        {
            breaker.Failed(Away);
        }
    }
}
