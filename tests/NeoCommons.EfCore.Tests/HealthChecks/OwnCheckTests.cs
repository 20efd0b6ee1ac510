using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>A check of the application runs on a connection of the pool, and what it does there is nobody else's.</summary>
public sealed class OwnCheckTests(TestServers servers)
{
    private const string Settings =
        "SELECT concat_ws(' ', current_setting('search_path'), current_setting('statement_timeout'), "
        + "current_setting('application_name'), to_regclass('pg_temp.left_over'), "
        + "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SessionReset.WhenUsed, true)]
    [InlineData(SessionReset.WhenUsed, false)]
    [InlineData(SessionReset.Always, true)]
    public async Task It_leaves_nothing_in_the_session(SessionReset reset, bool isHealthy)
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() },
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
        await app.AddTenantAsync(row, "acme");
        var globex = await app.AddTenantAsync(row, "globex");
        var (pid, before) = await OfNobodyAsync();

        await CheckAsync();
        Assert.Equal((pid, before), await OfNobodyAsync());
        await CheckAsync();
        Assert.Equal((pid, before), await OfNobodyAsync());
        await CheckAsync();
        await using (var context = await app.Contexts.CreateDbContextAsync(globex.Id, Ct))
        {
            Assert.Equal("globex", (await context.Items.SingleAsync(Ct)).Owner);
            Assert.Equal(
                "0",
                await context.Database.SqlQueryRaw<string>("SHOW statement_timeout").ToListAsync(Ct) is [var timeout]
                    ? timeout
                    : null
            );
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
