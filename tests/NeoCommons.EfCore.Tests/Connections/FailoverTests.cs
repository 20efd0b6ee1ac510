using Microsoft.EntityFrameworkCore;
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

    private static async Task<string> OwnerAsync(BehindProxy proxied, Tenant tenant, bool readOnly)
    {
        var contexts = proxied.App.Contexts;
        await using var context = readOnly
            ? await contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct)
            : await contexts.CreateDbContextAsync(tenant.Id, Ct);
        return (await context.Items.SingleAsync(Ct)).Owner;
    }

    private static async Task<string> RawOwnerAsync(BehindProxy proxied, Tenant tenant)
    {
        await using var connection = await proxied.App.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using var command = new NpgsqlCommand("SELECT owner FROM items", connection);
        return (string)(await command.ExecuteScalarAsync(Ct))!;
    }
}
