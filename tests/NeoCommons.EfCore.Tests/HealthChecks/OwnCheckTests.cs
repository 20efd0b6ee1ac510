using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>A check of the application runs on a connection of the pool, and what it does there is nobody else's.</summary>
public sealed class OwnCheckTests(TestServers servers)
{
    private const string Settings =
        "SELECT concat_ws(' ', current_setting('search_path'), current_setting('application_name'), "
        + "current_setting('statement_timeout'), coalesce(to_regclass('pg_temp.left_over')::text, 'no-table'), "
        + "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_that_does_not_end_is_not_begun_again_beside_itself()
    {
        var (begun, end) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Health:Timeout"] = "00:00:00.200" },
            configure: services =>
                services
                    .AddHealthChecks()
                    .AddNeoCommons(options =>
                        options.AddCheck(
                            "stuck",
                            async (_, _) =>
                            {
                                Interlocked.Increment(ref begun);
                                await end.Task;
                                return ConnectionHealthStatus.Healthy;
                            }
                        )
                    )
        );
        var row = await app.AddDatabaseAsync();
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        for (var i = 0; i < 5; i++)
        {
            var seen = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];
            Assert.Equal((ConnectionHealthStatus.Unhealthy, "timeout"), (seen.Status, seen.Reason));
        }

        Assert.Equal((1, 1), (begun, await app.CountBackendsAsync(row)));
        end.SetResult();
        await Eventually.TrueAsync(async () =>
            (await app.Connections.CheckAsync(row.Name, Ct))[row.Name].Status == ConnectionHealthStatus.Healthy
        );
    }

    [Fact]
    public async Task What_it_has_found_is_told_on_while_the_connection_is_too_busy_to_be_asked()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services =>
                services
                    .AddHealthChecks()
                    .AddNeoCommons(options =>
                        options.AddCheck("queue", (_, _) => ValueTask.FromResult(ConnectionHealthStatus.Unhealthy))
                    )
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            // Nobody has asked it yet.
            Assert.Equal((ConnectionHealthStatus.Degraded, "saturated"), await CheckAsync());
        }

        Assert.Equal((ConnectionHealthStatus.Unhealthy, "queue"), await CheckAsync());
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            Assert.Equal((ConnectionHealthStatus.Unhealthy, "queue"), await CheckAsync());
        }

        async Task<(ConnectionHealthStatus, string?)> CheckAsync() =>
            (await app.Connections.CheckAsync(row.Name, Ct))[row.Name] is var seen
                ? (seen.Status, seen.Reason)
                : default;
    }

    [Theory]
    [InlineData(SessionReset.WhenUsed, true, true)]
    [InlineData(SessionReset.WhenUsed, true, false)]
    [InlineData(SessionReset.WhenUsed, false, false)]
    [InlineData(SessionReset.Always, true, false)]
    public async Task It_leaves_nothing_in_the_session(SessionReset reset, bool isHealthy, bool withFirstCommand)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:SessionReset"] = reset.ToString(),
                // A reset that travels with the first command of the check is due until it has been answered.
                ["NeoCommons:Connections:BindWithFirstCommand"] = withFirstCommand.ToString(),
            },
            configure: services =>
                services
                    .AddHealthChecks()
                    .AddNeoCommons(options =>
                        options.AddCheck(
                            "careless",
                            async (connection, ct) =>
                            {
                                await using var command = new NpgsqlCommand(
                                    "SET search_path TO tenant_acme; SET statement_timeout = '7s'; SET application_name = 'check'; "
                                        + "CREATE TEMP TABLE left_over (); SELECT pg_advisory_lock(4711)",
                                    connection
                                );
                                await command.ExecuteNonQueryAsync(ct);
                                return isHealthy
                                    ? ConnectionHealthStatus.Healthy
                                    : throw new InvalidOperationException("The queue is too long.");
                            }
                        )
                    )
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var acme = await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");
        var (pid, before) = await OfNobodyAsync();

        await CheckAsync();
        Assert.Equal((pid, before), await OfNobodyAsync());

        // After EF's own commands alone nothing is left to be reset, unless the check leaves it.
        await ReadAsync(acme);
        await CheckAsync();
        Assert.Equal((pid, before), await OfNobodyAsync());
        await ReadAsync(acme);
        await CheckAsync();
        await using (var context = await app.Contexts.CreateDbContextAsync(globex.Id, Ct))
        {
            Assert.Equal("globex", (await context.Items.SingleAsync(Ct)).Owner);
            var settings = await context.Database.SqlQueryRaw<string>($"{Settings} AS \"Value\"").ToListAsync(Ct);
            Assert.Equal(before!.Split(' ')[^3..], settings.Single().Split(' ')[^3..]);
        }

        async Task ReadAsync(Tenant tenant)
        {
            for (var i = 0; i < 2; i++)
            {
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                Assert.Equal(tenant.Slug, (await context.Items.SingleAsync(Ct)).Owner);
            }
        }

        async Task CheckAsync() =>
            Assert.Equal(
                isHealthy ? ConnectionHealthStatus.Healthy : ConnectionHealthStatus.Unhealthy,
                (await app.Connections.CheckAsync(row.Name, Ct))[row.Name].Status
            );

        async Task<(int Pid, string? Settings)> OfNobodyAsync()
        {
            await using var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
            await using var command = new NpgsqlCommand(Settings, connection);
            return (await RuntimeApp.PidAsync(connection), (string?)await command.ExecuteScalarAsync(Ct));
        }
    }
}
