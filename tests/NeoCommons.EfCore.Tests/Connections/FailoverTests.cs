using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>While a connection is out of order, the one that its row names is used, and for writes only where the row says so.</summary>
public sealed class FailoverTests(TestServers servers)
{
    private const string Standby = "failover-standby";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reads_go_there_and_writes_where_the_row_says_so_and_all_come_back(bool writes)
    {
        await using var proxied = await StartAsync(writes);
        var tenant = await AddTenantAsync(proxied, Standby);
        Assert.Equal("home", await OwnerAsync(proxied, tenant, readOnly: true));
        proxied.Stop();
        await Eventually.TrueAsync(async () =>
        {
            await Record.ExceptionAsync(() => OwnerAsync(proxied, tenant, readOnly: true));
            return proxied.Breaker.IsOpen;
        });

        Assert.Equal("standby", await OwnerAsync(proxied, tenant, readOnly: true));
        foreach (
            var work in new Func<Task<string>>[]
            {
                () => OwnerAsync(proxied, tenant, readOnly: false),
                () => RawOwnerAsync(proxied, tenant),
            }
        )
        {
            if (writes)
            {
                Assert.Equal("standby", await work());
            }
            else
            {
                var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(work);
                Assert.Equal(
                    (ConnectionUnavailableReason.CircuitOpen, proxied.Row.Name),
                    (refusal.Reason, refusal.ConnectionName)
                );
            }
        }

        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        Assert.Equal("home", await OwnerAsync(proxied, tenant, readOnly: true));
        Assert.Equal("home", await OwnerAsync(proxied, tenant, readOnly: false));
        foreach (var name in new[] { proxied.Row.Name, Standby })
        {
            Assert.Equal(0, (await proxied.App.AcquireAsync(name)).Life.Leases);
        }
    }

    [Fact]
    public async Task What_is_saved_meanwhile_is_there_and_not_at_home()
    {
        await using var proxied = await StartAsync(writes: true);
        var tenant = await AddTenantAsync(proxied, Standby);
        await SaveAsync(proxied.App, tenant, 2);
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        await SaveAsync(proxied.App, tenant, 3);

        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        await SaveAsync(proxied.App, tenant, 4);
        Assert.Equal([1, 2, 4], await IdsAsync(proxied.App, proxied.Direct));
        Assert.Equal([1, 3], await IdsAsync(proxied.App, proxied.App.Registry[Standby]));
    }

    [Fact]
    public async Task It_is_logged_once_for_each_outage_however_many_callers_there_are()
    {
        var log = new LogLines();
        await using var proxied = await BehindProxy.StartAsync(
            servers.Postgres,
            row => row with { FailoverConnection = Standby, FailoverWrites = true },
            // However slow the machine is, the pool and its breaker stay the same.
            new() { ["NeoCommons:Connections:Breaker:RebuildAfter"] = "1.00:00:00" },
            configure: services => services.AddSingleton<ILoggerProvider>(log)
        );
        var tenant = await AddTenantAsync(proxied, Standby);

        for (var outage = 1; outage <= 2; outage++)
        {
            proxied.Stop();
            await proxied.FailUntilOpenAsync();
            var owners = await Task.WhenAll(
                Enumerable
                    .Range(0, 30)
                    .Select(i =>
                        i % 3 == 2 ? RawOwnerAsync(proxied, tenant) : OwnerAsync(proxied, tenant, readOnly: i % 3 == 1)
                    )
            );
            Assert.All(owners, owner => Assert.Equal("standby", owner));
            Assert.Equal(outage, log.Of(1009).Count);

            proxied.Proxy.Restore();
            await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
            Assert.Equal("home", await OwnerAsync(proxied, tenant, readOnly: true));
        }

        Assert.All(
            log.Of(1009),
            line =>
            {
                Assert.Contains(proxied.Row.Name, line, StringComparison.Ordinal);
                Assert.Contains(Standby, line, StringComparison.Ordinal);
            }
        );
    }

    [Fact]
    public async Task What_reads_there_cannot_write()
    {
        await using var proxied = await StartAsync(writes: false);
        var tenant = await AddTenantAsync(proxied, Standby);
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        await using var context = await proxied.App.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);

        var refusal = await Assert.ThrowsAsync<PostgresException>(() =>
            context.Database.ExecuteSqlAsync($"DELETE FROM items", Ct)
        );
        Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, refusal.SqlState);
    }

    [Theory]
    [InlineData("no-such-connection")]
    [InlineData(Standby)]
    public async Task Where_it_is_not_to_be_had_either_the_caller_is_told_of_the_one_that_he_asked_for(string name)
    {
        await using var proxied = await StartAsync(writes: true, name);
        var tenant = await AddTenantAsync(proxied, Standby);
        proxied.App.Registry.Change(Standby, row => row with { IsActive = false });
        proxied.Stop();
        await proxied.FailUntilOpenAsync();

        var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            OwnerAsync(proxied, tenant, readOnly: true)
        );

        Assert.Equal(
            (ConnectionUnavailableReason.CircuitOpen, proxied.Row.Name),
            (refusal.Reason, refusal.ConnectionName)
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_has_no_slot_left_is_not_replaced(bool readOnly)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var standby = await app.AddDatabaseAsync();
        await app.AddTenantAsync(standby, "acme");
        var role = AuthenticationLog.NewRole();
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                Username = role,
                Password = Secret.FromText(role),
                FailoverConnection = standby.Name,
                FailoverWrites = true,
            }
        );
        await app.DirectAsync(row, $"CREATE ROLE {role} LOGIN PASSWORD '{role}' CONNECTION LIMIT 0");
        var tenant = await app.AddTenantAsync(row, "acme");
        var breaker = (await app.AcquireAsync(row.Name)).Breaker;
        await Eventually.TrueAsync(async () =>
        {
            await Record.ExceptionAsync(() => OwnerAsync(app, tenant, readOnly));
            return breaker.IsOpen;
        });

        // Those who have a session go on to write there.
        var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(() => OwnerAsync(app, tenant, readOnly));

        Assert.Equal((ConnectionUnavailableReason.CircuitOpen, row.Name), (refusal.Reason, refusal.ConnectionName));
        Assert.Equal(0, await app.CountBackendsAsync(standby));
        await app.DirectAsync(row, $"ALTER ROLE {role} CONNECTION LIMIT -1");
        await Eventually.TrueAsync(() => !breaker.IsOpen);
    }

    [Fact]
    public async Task Where_both_are_out_of_order_the_caller_is_told_of_the_one_that_he_asked_for()
    {
        await using var proxied = await StartAsync(writes: true);
        var tenant = await AddTenantAsync(proxied, Standby);
        proxied.App.Registry.Change(Standby, row => row with { Port = 1 });
        proxied.Stop();
        await proxied.FailUntilOpenAsync();
        var other = await proxied.App.AcquireAsync(Standby);
        await Eventually.TrueAsync(async () =>
        {
            await Record.ExceptionAsync(() => OwnerAsync(proxied, tenant, readOnly: true));
            return other.Breaker.IsOpen;
        });

        var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(() =>
            OwnerAsync(proxied, tenant, readOnly: true)
        );

        Assert.Equal(
            (ConnectionUnavailableReason.CircuitOpen, proxied.Row.Name),
            (refusal.Reason, refusal.ConnectionName)
        );
        Assert.Equal(0, other.Life.Leases);
    }

    private Task<BehindProxy> StartAsync(bool writes, string name = Standby) =>
        BehindProxy.StartAsync(
            servers.Postgres,
            row => row with { FailoverConnection = name, FailoverWrites = writes }
        );

    /// <summary>A tenant in both databases; its row says in which.</summary>
    private static async Task<Tenant> AddTenantAsync(BehindProxy proxied, string standby)
    {
        var other = await proxied.App.AddDatabaseAsync(row => row with { Name = standby });
        await proxied.App.AddTenantAsync(other, "acme");
        await proxied.App.DirectAsync(other, "UPDATE tenant_acme.items SET owner = 'standby'");
        var tenant = await proxied.App.AddTenantAsync(proxied.Direct, "acme", proxied.Row.Name);
        await proxied.App.DirectAsync(proxied.Direct, "UPDATE tenant_acme.items SET owner = 'home'");
        return tenant;
    }

    private static Task<string> OwnerAsync(BehindProxy proxied, Tenant tenant, bool readOnly) =>
        OwnerAsync(proxied.App, tenant, readOnly);

    private static async Task<string> OwnerAsync(RuntimeApp app, Tenant tenant, bool readOnly)
    {
        await using var context = readOnly
            ? await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct)
            : await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        return (await context.Items.SingleAsync(Ct)).Owner;
    }

    private static async Task<string> RawOwnerAsync(BehindProxy proxied, Tenant tenant)
    {
        await using var connection = await proxied.App.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using var command = new NpgsqlCommand("SELECT owner FROM items", connection);
        return (string)(await command.ExecuteScalarAsync(Ct))!;
    }

    private static async Task SaveAsync(RuntimeApp app, Tenant tenant, int id)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = tenant.Slug });
        Assert.Equal(1, await context.SaveChangesAsync(Ct));
    }

    private static async Task<IEnumerable<int>> IdsAsync(RuntimeApp app, DatabaseConnection row) =>
        (int[])(await app.DirectAsync(row, "SELECT array_agg(id ORDER BY id) FROM tenant_acme.items"))!;
}
