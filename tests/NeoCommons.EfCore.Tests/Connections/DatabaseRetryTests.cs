using System.ComponentModel.DataAnnotations;
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
    public async Task It_waits_for_as_long_as_the_fault_says_and_not_for_its_own_delay(Exception fault)
    {
        var time = new FakeTimeProvider();
        var tries = 0;

        var work = Retry(time: time).ExecuteAsync(_ => ++tries == 1 ? throw fault : default, Ct).AsTask();

        for (var i = 0; i < 69; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.Equal((1, false), (tries, work.IsCompleted));
        time.Advance(TimeSpan.FromMilliseconds(100));
        await work.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(2, tries);
    }

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
