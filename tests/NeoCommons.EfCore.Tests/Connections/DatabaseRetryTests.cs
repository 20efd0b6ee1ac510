using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Polly;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Raw work is repeated after faults that pass, whole, and not after others.</summary>
public sealed class DatabaseRetryTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_whose_connection_was_killed_is_done_again()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tries = 0;

        var pid = await Retry()
            .ExecuteAsync(
                async ct =>
                {
                    await using var connection = await app.Connections.OpenConnectionAsync(row.Name, ct);
                    var pid = await RuntimeApp.PidAsync(connection);
                    if (++tries == 1)
                    {
                        await app.KillBackendsAsync(row);
                    }

                    return (pid, await RuntimeApp.PidAsync(connection));
                },
                Ct
            );

        Assert.Equal(pid.pid, pid.Item2);
        Assert.Equal(2, tries);
    }

    [Fact]
    public async Task It_ends_with_the_fault_itself()
    {
        var tries = 0;

        var failure = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await Retry(o => o.MaxRetryAttempts = 2)
                .ExecuteAsync(
                    _ =>
                    {
                        tries++;
                        throw new ConnectionUnavailableException(
                            "db",
                            ConnectionUnavailableReason.CircuitOpen,
                            "out of order",
                            retryAfter: TimeSpan.FromMilliseconds(1)
                        );
                    },
                    Ct
                )
        );

        Assert.Equal("out of order", failure.Message);
        Assert.Equal(3, tries);
    }

    public static TheoryData<Exception> Passing =>
        [
            .. new[]
            {
                PostgresErrorCodes.AdminShutdown,
                PostgresErrorCodes.CrashShutdown,
                PostgresErrorCodes.IdleSessionTimeout,
                PostgresErrorCodes.SerializationFailure,
                PostgresErrorCodes.DeadlockDetected,
                PostgresErrorCodes.TooManyConnections,
                PostgresErrorCodes.CannotConnectNow,
            }.Select(state => new PostgresException("it passes", "ERROR", "ERROR", state)),
            new NpgsqlException("broken", new IOException("reset by peer")),
            .. new[]
            {
                ConnectionUnavailableReason.CircuitOpen,
                ConnectionUnavailableReason.Unreachable,
                ConnectionUnavailableReason.NoHost,
                ConnectionUnavailableReason.PoolExhausted,
                ConnectionUnavailableReason.Replaced,
            }.Select(reason => new ConnectionUnavailableException("db", reason, "it passes")),
            new ConnectionUnavailableException(
                "db",
                ConnectionUnavailableReason.Refused,
                "starting up",
                new PostgresException("starting up", "FATAL", "FATAL", PostgresErrorCodes.CannotConnectNow)
            ),
            .. ThatSayHowLong(TimeSpan.FromMilliseconds(1)),
        ];

    [Theory]
    [MemberData(nameof(Passing), DisableDiscoveryEnumeration = true)]
    public async Task What_passes_is_waited_for(Exception fault)
    {
        var tries = 0;

        await Retry().ExecuteAsync(_ => ++tries == 1 ? throw fault : default, Ct);

        Assert.Equal(2, tries);
    }

    public static TheoryData<Exception> Told => [.. ThatSayHowLong(TimeSpan.FromSeconds(7))];

    [Theory]
    [MemberData(nameof(Told), DisableDiscoveryEnumeration = true)]
    public async Task It_waits_for_as_long_as_the_fault_says_and_not_for_its_own_delay_only(Exception fault)
    {
        var time = new FakeTimeProvider();
        var tries = 0;

        var work = Retry(time: time).ExecuteAsync(_ => ++tries == 1 ? throw fault : default, Ct).AsTask();

        for (var i = 0; i < 69; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        // And its own delay at most, at random.
        Assert.Equal((1, false), (tries, work.IsCompleted));
        time.Advance(TimeSpan.FromMilliseconds(101));
        await work.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(2, tries);
    }

    [Fact]
    public async Task Those_whom_an_open_breaker_refuses_at_once_do_not_come_back_at_once()
    {
        using var pool = new CancellationTokenSource();
        var away = new ConnectionUnavailableException("db", ConnectionUnavailableReason.Unreachable, "It is away.");
        var breaker = new ConnectionBreaker(new(), TimeProvider.System, NullLogger.Instance, pool.Token)
        {
            ConnectionName = "db",
            Probe = _ => new(away),
        };
        while (!breaker.IsOpen)
        {
            breaker.Failed(away);
        }

        var time = new RecordedDelays();
        var second = 0;
        var work = Enumerable.Range(0, 50).Select(_ => WorkAsync().AsTask()).ToList();

        var delays = time.Milliseconds;
        Assert.Equal(50, delays.Length);
        Assert.All(delays, delay => Assert.InRange(delay, 500, 700));
        Assert.InRange(delays.Distinct().Count(), 20, 50);
        Assert.InRange(delays.Max() - delays.Min(), 50, 200);
        time.Advance(TimeSpan.FromSeconds(1));
        await Task.WhenAll(work).WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(50, second);
        await pool.CancelAsync();

        ValueTask WorkAsync()
        {
            var tries = 0;
            return Retry(o => o.Delay = TimeSpan.FromMilliseconds(200), time)
                .ExecuteAsync(
                    _ =>
                    {
                        if (++tries == 1)
                        {
                            breaker.ThrowIfOpen();
                        }

                        Interlocked.Increment(ref second);
                        return default;
                    },
                    Ct
                );
        }
    }

    [Fact]
    public async Task The_wait_grows_though_each_fault_says_the_same_and_not_for_ever()
    {
        var delays = await DelaysAsync(
            new ConnectionUnavailableException(
                "db",
                ConnectionUnavailableReason.CircuitOpen,
                "out of order",
                retryAfter: TimeSpan.FromMilliseconds(500)
            )
        );

        (double From, double To)[] expected = [(500, 700), (500, 900), (800, 1600), (1000, 2000), (1000, 2000)];
        Assert.Equal(expected.Length, delays.Length);
        Assert.All(expected.Zip(delays), pair => Assert.InRange(pair.Second, pair.First.From, pair.First.To));
    }

    [Fact]
    public async Task A_fault_that_says_to_wait_longer_than_the_longest_delay_is_obeyed() =>
        Assert.All(
            await DelaysAsync(
                new TenantQuotaExceededException(
                    Acme,
                    TenantQuota.CommandsPerSecond,
                    1,
                    TimeSpan.FromSeconds(7),
                    "too many"
                )
            ),
            delay => Assert.InRange(delay, 7000, 8000)
        );

    [Fact]
    public async Task Where_no_fault_says_how_long_no_wait_is_longer_than_the_longest_delay() =>
        Assert.All(
            await DelaysAsync(
                new ConnectionUnavailableException("db", ConnectionUnavailableReason.Unreachable, "it passes")
            ),
            delay => Assert.InRange(delay, 0, 1000)
        );

    public static TheoryData<Exception> Final =>
        [
            new PostgresException("duplicate key", "ERROR", "ERROR", PostgresErrorCodes.UniqueViolation),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.AuthenticationFailed, "refused"),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.InvalidConfiguration, "bad"),
            new ConnectionNotFoundException("db"),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.Inactive, "off"),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.ShuttingDown, "over"),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.Refused, "no"),
            new ConnectionUnavailableException(
                "db",
                ConnectionUnavailableReason.Refused,
                "no such database",
                new PostgresException("no such database", "FATAL", "FATAL", PostgresErrorCodes.InvalidCatalogName)
            ),
            new TenantUnavailableException(Acme with { Status = TenantStatus.Suspended }),
            new TenantNotFoundException("acme"),
            new TenantNotResolvedException("none"),
            new OperationCanceledException(),
        ];

    [Theory]
    [MemberData(nameof(Final), DisableDiscoveryEnumeration = true)]
    public async Task What_does_not_pass_is_not_repeated(Exception fault)
    {
        var tries = 0;

        await Assert.ThrowsAsync(
            fault.GetType(),
            async () =>
                await Retry()
                    .ExecuteAsync(
                        _ =>
                        {
                            tries++;
                            throw fault;
                        },
                        Ct
                    )
        );

        Assert.Equal(1, tries);
    }

    [Fact]
    public void Options_out_of_range_are_refused() =>
        Assert.Throws<ValidationException>(() => Retry(o => o.MaxRetryAttempts = 0));

    private static Tenant Acme =>
        new()
        {
            Id = new TenantId(Guid.NewGuid()),
            Slug = "acme",
            Name = "acme",
            Schema = SchemaName.Parse("tenant_acme"),
            ConnectionName = "db",
        };

    private static Exception[] ThatSayHowLong(TimeSpan wait) =>
        [
            new ConnectionUnavailableException(
                "db",
                ConnectionUnavailableReason.CircuitOpen,
                "out of order",
                retryAfter: wait
            ),
            new TenantUnavailableException(Acme, wait),
            new TenantQuotaExceededException(Acme, TenantQuota.CommandsPerSecond, 1, wait, "too many"),
        ];

    /// <summary>What is waited between the tries of work that fails five times, for a second of its own at most.</summary>
    private static async Task<double[]> DelaysAsync(Exception fault)
    {
        var time = new RecordedDelays();
        var tries = 0;
        var work = Retry(
                o =>
                {
                    o.Delay = TimeSpan.FromMilliseconds(200);
                    o.MaxDelay = TimeSpan.FromSeconds(1);
                    o.MaxRetryAttempts = 5;
                },
                time
            )
            .ExecuteAsync(_ => ++tries <= 5 ? throw fault : default, Ct)
            .AsTask();
        await Eventually.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(10));
            return work.IsCompleted;
        });
        await work;
        return time.Milliseconds;
    }

    /// <summary>A clock that notes for how long it is waited.</summary>
    private sealed class RecordedDelays : FakeTimeProvider
    {
        private readonly ConcurrentQueue<double> _delays = [];

        public double[] Milliseconds => [.. _delays];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _delays.Enqueue(dueTime.TotalMilliseconds);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private static ResiliencePipeline Retry(
        Action<DatabaseRetryOptions>? configure = null,
        TimeProvider? time = null
    ) =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddDatabaseRetry(o =>
            {
                o.Delay = TimeSpan.FromMilliseconds(1);
                configure?.Invoke(o);
            })
            .Build();
}
