using System.Net;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>What stands in the way of a connection is told by type and reason, and never with its password.</summary>
public sealed class UnavailableTests(TestServers servers)
{
    private const string Canary = "canary-91ab3f";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_that_is_not_registered_is_not_found()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();

        var missing = await Assert.ThrowsAsync<ConnectionNotFoundException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name.ToUpperInvariant(), Ct)
        );

        Assert.Equal(row.Name.ToUpperInvariant(), missing.ConnectionName);
        Assert.Contains(missing.ConnectionName, missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registry_that_cannot_look_is_not_taken_for_one_that_found_nothing()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        app.Registry.Failure = new TimeoutException("the registry is away");

        await Assert.ThrowsAsync<TimeoutException>(async () => await app.Connections.OpenConnectionAsync(row.Name, Ct));

        Assert.Equal(1, await app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task An_inactive_connection_is_unavailable() =>
        await AssertUnavailableAsync(ConnectionUnavailableReason.Inactive, row => row with { IsActive = false });

    [Fact]
    public async Task An_unreadable_password_stops_its_own_connection_only()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var good = await app.AddDatabaseAsync();
        var bad = await app.AddDatabaseAsync(row => row with { Password = Secret.Unreadable("no key fits") });
        var tenant = await app.AddTenantAsync(bad, "acme");

        var refusals = new[]
        {
            await Assert.ThrowsAsync<SecretDecryptionException>(async () =>
                await app.Connections.OpenConnectionAsync(bad.Name, Ct)
            ),
            await Assert.ThrowsAsync<SecretDecryptionException>(async () =>
                await app.Contexts.CreateDbContextAsync(tenant.Id, Ct)
            ),
        };

        foreach (var refusal in refusals)
        {
            Assert.Equal(bad.Name, refusal.ConnectionName);
            Assert.Contains("no key fits", refusal.Message, StringComparison.Ordinal);
        }

        await using var other = await app.Connections.OpenConnectionAsync(good.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(other) > 0);
    }

    [Fact]
    public async Task A_closed_port_is_unreachable()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        await AssertUnavailableAsync(
            ConnectionUnavailableReason.Unreachable,
            row => row with { Host = "127.0.0.1", Port = ((IPEndPoint)taken.LocalEndPoint!).Port }
        );
    }

    [Fact]
    public Task A_host_that_has_no_address_is_unreachable() =>
        AssertUnavailableAsync(
            ConnectionUnavailableReason.Unreachable,
            row => row with { Host = "no-such-host.invalid" }
        );

    [Fact]
    public async Task A_server_that_does_not_answer_is_unreachable()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        proxy.Blackhole();

        await AssertUnavailableAsync(
            ConnectionUnavailableReason.Unreachable,
            row => row with { Host = proxy.Host, Port = proxy.Port, PoolTimeout = TimeSpan.FromSeconds(1) }
        );
    }

    [Fact]
    public async Task A_server_without_TLS_is_unreachable_where_TLS_is_required()
    {
        Assert.SkipUnless(servers.Postgres.Source == ServerSource.Binaries, "The server may have TLS.");
        await AssertUnavailableAsync(
            ConnectionUnavailableReason.Unreachable,
            row => row with { SslMode = SslMode.Require }
        );
    }

    [Fact]
    public Task A_wrong_password_fails_authentication() =>
        AssertUnavailableAsync(
            ConnectionUnavailableReason.AuthenticationFailed,
            row => row with { Password = Secret.FromText(Canary) }
        );

    [Fact]
    public Task An_unknown_user_fails_authentication() =>
        AssertUnavailableAsync(
            ConnectionUnavailableReason.AuthenticationFailed,
            row => row with { Username = "nobody", Password = Secret.FromText(Canary) }
        );

    [Fact]
    public Task A_missing_database_is_refused() =>
        AssertUnavailableAsync(ConnectionUnavailableReason.Refused, row => row with { Database = "missing" });

    [Fact]
    public async Task A_caller_who_cancels_sees_a_cancellation()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        proxy.Blackhole();
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                Host = proxy.Host,
                Port = proxy.Port,
                PoolTimeout = TimeSpan.FromSeconds(5),
            }
        );
        using var cancelled = new CancellationTokenSource();

        var opening = app.Connections.OpenConnectionAsync(row.Name, cancelled.Token).AsTask();
        await Eventually.TrueAsync(() => proxy.Counters.Connections == 1);
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        Assert.Equal(0, app.Connections.GetPoolMetrics(row.Name).Active);
    }

    [Fact]
    public async Task A_failed_open_leaves_no_lease_behind()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            time: new Microsoft.Extensions.Time.Testing.FakeTimeProvider()
        );
        var row = await app.AddDatabaseAsync(row => row with { Database = "missing" });
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name, Ct)
        );

        // The clock stands still, so a lease left behind would keep the pool for ever.
        await app.Connections.CloseAsync(row.Name).WaitAsync(TimeSpan.FromMinutes(1), Ct);
    }

    private async Task AssertUnavailableAsync(
        ConnectionUnavailableReason reason,
        Func<DatabaseConnection, DatabaseConnection> change
    )
    {
        // On a slow machine the breaker's own looks fail meanwhile too, and would open it.
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?> { ["NeoCommons:Connections:Breaker:MinimumThroughput"] = "1000" }
        );
        var good = await app.AddDatabaseAsync();
        var bad = change(good with { Name = RuntimeApp.NewName("bad") });
        app.Registry.Set(bad);
        var tenant = (await app.AddTenantAsync(good, "acme")) with { ConnectionName = bad.Name };
        app.Tenants.Set(tenant);

        var failures = new List<Exception?>
        {
            await Record.ExceptionAsync(async () => await app.Connections.OpenConnectionAsync(bad.Name, Ct)),
            await Record.ExceptionAsync(async () => await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)),
            await Record.ExceptionAsync(async () =>
            {
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                await context.Items.ToListAsync(Ct);
            }),
            await Record.ExceptionAsync(async () =>
            {
                await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
                context.Items.Load();
            }),
        };

        foreach (var failure in failures)
        {
            var unavailable = Assert.IsType<ConnectionUnavailableException>(failure);
            Assert.Equal(reason, unavailable.Reason);
            Assert.Equal(bad.Name, unavailable.ConnectionName);
            Assert.StartsWith($"Connection '{bad.Name}' is ", unavailable.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(bad.Password.Reveal(), unavailable.ToString(), StringComparison.Ordinal);
        }

        await using var other = await app.Connections.OpenConnectionAsync(good.Name, Ct);
        Assert.True(await RuntimeApp.PidAsync(other) > 0);
    }
}
