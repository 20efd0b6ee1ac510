using System.ComponentModel.DataAnnotations;
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

    public static TheoryData<Exception> Final =>
        [
            new PostgresException("duplicate key", "ERROR", "ERROR", PostgresErrorCodes.UniqueViolation),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.AuthenticationFailed, "refused"),
            new ConnectionUnavailableException("db", ConnectionUnavailableReason.InvalidConfiguration, "bad"),
            new ConnectionNotFoundException("db"),
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

    private static ResiliencePipeline Retry(Action<DatabaseRetryOptions>? configure = null) =>
        new ResiliencePipelineBuilder()
            .AddDatabaseRetry(o =>
            {
                o.Delay = TimeSpan.FromMilliseconds(1);
                configure?.Invoke(o);
            })
            .Build();
}
