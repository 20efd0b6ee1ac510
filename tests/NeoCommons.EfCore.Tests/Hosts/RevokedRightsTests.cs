using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Where the row's role may not ask what servers have in common, or may ask nothing of the log.</summary>
public sealed class RevokedRightsTests
{
    private const int Writes = 40;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("pg_control_system()")]
    [InlineData("pg_control_checkpoint()")]
    [InlineData("pg_control_recovery()")]
    public async Task A_primary_that_was_replaced_gets_no_write_all_the_same(string function)
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var (row, tenant) = await AddAsync(pair, app, function);
        await WriteAsync(app, tenant, 100);
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
