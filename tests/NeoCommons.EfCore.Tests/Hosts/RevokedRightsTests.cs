using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Where the row's role may not ask what servers have in common, or may ask nothing of the log.</summary>
public sealed class RevokedRightsTests
{
    private const int Writes = 40;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("pg_control_system()", false)]
    [InlineData("pg_control_system()", true)]
    [InlineData("pg_control_checkpoint()", false)]
    [InlineData("pg_control_recovery()", false)]
    public async Task A_primary_that_was_replaced_gets_no_write_all_the_same(string function, bool later)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, later ? "pg_sleep(float8)" : function);
        await WriteAsync(app, tenant, 100);
        if (later)
        {
            // What they have in common is known by now.
            await app.DirectAsync(row, $"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC");
            var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
            await Eventually.TrueAsync(() => guard.States[0].Answer is { System: null });
        }

        await pair.CatchUpAsync();
        await pair.Primary.StopAsync(immediate: true, Ct);
        await pair.Standby.PromoteAsync(Ct);
        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => WriteAsync(app, tenant, 200)) is null);

        await pair.Primary.StartAgainAsync(Ct);
        for (var id = 1000; id < 1000 + Writes; id++)
        {
            await WriteAsync(app, tenant, id);
            await Task.Delay(75, Ct);
        }

        const string Count = "SELECT count(*) FROM tenant_acme.items WHERE id >= 1000";
        Assert.Equal(0L, await Pair.ScalarAsync(pair.Primary, row.Database, Count));
        Assert.Equal((long)Writes, await Pair.ScalarAsync(pair.Standby, row.Database, Count));
    }

    [Theory]
    [InlineData("pg_control_system()", false, true)]
    [InlineData("pg_control_checkpoint()", true, true)]
    [InlineData("pg_control_recovery()", true, true)]
    [InlineData("pg_walfile_name(pg_lsn)", true, false)]
    public async Task What_it_may_ask_is_told_and_what_it_may_not_is_no_error_of_the_server_at_each_look(
        string function,
        bool tellsSystem,
        bool tellsTimeline
    )
    {
        await using var pair = await Pair.StartAsync(AuthenticationLog.Options(minimum: "error"));
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, function);

        await WriteAsync(app, tenant, 100);
        var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
        await LookAsync(guard);

        Assert.All([0, 1], host => Assert.Equal(tellsSystem, guard.States[host].Answer!.System is not null));
        Assert.All(
            [0, 1],
            host => Assert.NotNull(guard.States[host].Answer!.Reached ?? guard.States[host].Answer!.Lsn)
        );
        Assert.Equal(tellsTimeline, guard.States[0].Answer!.Timeline is not null);
        Assert.Equal(0, await CountErrorsAsync());

        // It is granted: the next session is told.
        await app.DirectAsync(row, $"GRANT EXECUTE ON FUNCTION {function} TO {row.Username}");
        await pair.CatchUpAsync();
        await Pair.KillAsync(pair.Primary, row.Database);
        await Pair.KillAsync(pair.Standby, row.Database);
        await Eventually.TrueAsync(() =>
            guard.States[0].Answer is { System: not null, Timeline: not null, Reached: not null }
            && guard.States[1].Answer is { System: not null, Reached: not null }
        );

        // It is revoked again: that is met once by each host, and no more.
        await app.DirectAsync(row, $"REVOKE EXECUTE ON FUNCTION {function} FROM {row.Username}");
        await pair.CatchUpAsync();
        await LookAsync(guard);
        await LookAsync(guard);
        Assert.InRange(await CountErrorsAsync(), 0, 2);

        async Task<int> CountErrorsAsync()
        {
            var denied = $"permission denied for function {function.Split('(')[0]}";
            var errors = 0;
            foreach (var server in new[] { pair.Primary, pair.Standby })
            {
                errors += await AuthenticationLog.CountAsync(
                    server,
                    line => line.Contains(denied, StringComparison.Ordinal)
                );
            }

            return errors;
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_its_sessions_may_not_be_ended_an_open_context_writes_and_commits_no_more(bool commits)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, "pg_terminate_backend(int, bigint)");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Database.OpenConnectionAsync(Ct);
        await using var transaction = commits ? await context.Database.BeginTransactionAsync(Ct) : null;
        context.Add(new Item { Id = commits ? 3 : 2, Owner = "acme" });
        await context.SaveChangesAsync(Ct);
        await pair.CatchUpAsync();

        await pair.Standby.PromoteAsync(Ct);
        var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
        await Eventually.TrueAsync(() => guard.States[0].Refusal is not null);
        var refused = await Record.ExceptionAsync(async () =>
        {
            if (transaction is not null)
            {
                await transaction.CommitAsync(Ct);
                return;
            }

            context.Add(new Item { Id = 3, Owner = "acme" });
            await context.SaveChangesAsync(Ct);
        });

        Assert.Equal(
            ConnectionUnavailableReason.NoHost,
            Assert
                .IsType<ConnectionUnavailableException>(refused is DbUpdateException ? refused.InnerException : refused)
                .Reason
        );
        Assert.Equal(
            0L,
            await Pair.ScalarAsync(pair.Primary, row.Database, "SELECT count(*) FROM tenant_acme.items WHERE id = 3")
        );
    }

    [Fact]
    public async Task Its_sessions_are_ended_as_soon_as_they_may_be()
    {
        const string Ending = "FUNCTION pg_terminate_backend(int, bigint)";
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, "pg_terminate_backend(int, bigint)");
        await using var raw = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await pair.CatchUpAsync();
        await pair.Standby.PromoteAsync(Ct);
        var host = (await app.AcquireAsync(row.Name)).Hosts!.Hosts[0];
        await Eventually.TrueAsync(() => host.Ending is { IsCompleted: true, Result: false });
        await ReadAsync();

        await app.DirectAsync(row, $"GRANT EXECUTE ON {Ending} TO PUBLIC");

        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(ReadAsync) is NpgsqlException);
        await Eventually.TrueAsync(() => host.Ending is { IsCompleted: true, Result: true });

        async Task ReadAsync()
        {
            await using var command = new NpgsqlCommand("SELECT owner FROM items", raw);
            await command.ExecuteScalarAsync(Ct);
        }
    }

    [Theory]
    [InlineData("pg_control_system()", true)]
    [InlineData("pg_walfile_name(pg_lsn)", false)]
    public async Task Where_no_timeline_is_told_health_says_that_nothing_is_fenced_and_is_no_worse_for_it(
        string function,
        bool isFenced
    )
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, function);
        await WriteAsync(app, tenant, 100);
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);

        var health = (await app.Connections.CheckAsync(row.Name, Ct))[row.Name];

        Assert.Equal(ConnectionHealthStatus.Healthy, health.Status);
        Assert.Equal([isFenced, null], health.Hosts.Select(h => h.IsFenced));
        Assert.All(health.Hosts, host => Assert.Null(host.Reason));
    }

    // Three looks more, each of which makes states anew.
    private static async Task LookAsync(HostGuard guard)
    {
        for (var look = 0; look < 3; look++)
        {
            var before = guard.States;
            await Eventually.TrueAsync(() => guard.States != before && guard.States.HasPrimary);
        }
    }

    // Without rights of its own: the superuser may ask anything.
    private static async Task<(DatabaseConnection Row, Tenant Tenant)> AddAsync(
        Pair pair,
        RuntimeApp app,
        string function
    )
    {
        var role = AuthenticationLog.NewRole();
        var row = await pair.AddAsync(app, r => r with { Username = role, Password = Secret.FromText(role) });
        var tenant = await app.AddTenantAsync(row, "acme");
        await app.DirectAsync(
            row,
            $"""
            CREATE ROLE {role} LOGIN PASSWORD '{role}';
            GRANT USAGE ON SCHEMA tenant_acme TO {role};
            GRANT ALL ON tenant_acme.items TO {role};
            REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;
            """
        );
        await pair.CatchUpAsync();
        return (row, tenant);
    }

    private static async Task WriteAsync(RuntimeApp app, Tenant tenant, int id)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = tenant.Slug });
        await context.SaveChangesAsync(Ct);
    }
}
