using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A host takes connections and says nothing on them, as behind a lost network.</summary>
public sealed class SilentHostTests
{
    private const int Callers = 12;

    // How long a host may take to take a connection.
    private static readonly TimeSpan PoolTimeout = TimeSpan.FromSeconds(2);

    // The driver goes round its hosts, and asks a silent one each time: docs/replicas.md.
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(60);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_the_standby_is_silent_each_reader_reaches_the_primary()
    {
        await using var hosts = await BehindProxies.StartAsync();
        hosts.Standby.Blackhole();
        await hosts.RefusedAsync(1);
        var waiting = Stopwatch.StartNew();

        var atStandby = await Task.WhenAll(
            Enumerable
                .Range(0, Callers)
                .Select(_ => Task.Run(() => ReadOnlyContextTests.IsOnStandbyAsync(hosts.App, hosts.Tenant), Ct))
        );

        Assert.All(atStandby, Assert.False);
        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        await WriteAsync(hosts, 2);
        hosts.Standby.Restore();
        await ReadOnlyContextTests.OnStandbyAsync(hosts.App, hosts.Tenant);
    }

    [Fact]
    public async Task While_an_old_primary_is_silent_each_writer_reaches_the_new_one()
    {
        await using var hosts = await BehindProxies.StartAsync();
        hosts.Primary.Blackhole();
        await hosts.Pair.Standby.PromoteAsync(Ct);
        await hosts.RefusedAsync(0);
        var waiting = Stopwatch.StartNew();

        await Task.WhenAll(Enumerable.Range(2, Callers).Select(id => Task.Run(() => WriteAsync(hosts, id), Ct)));

        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        Assert.Equal(
            Callers + 1L,
            await Pair.ScalarAsync(hosts.Pair.Standby, hosts.Row.Database, "SELECT count(*) FROM tenant_acme.items")
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_all_are_silent_each_caller_is_told_so(bool readOnly)
    {
        await using var hosts = await BehindProxies.StartAsync();
        hosts.Primary.Blackhole();
        hosts.Standby.Blackhole();
        await hosts.RefusedAsync(0);
        await hosts.RefusedAsync(1);
        var waiting = Stopwatch.StartNew();

        var failures = await Task.WhenAll(
            Enumerable
                .Range(0, 4)
                .Select(_ => Task.Run(async () => await Record.ExceptionAsync(() => UseAsync(hosts, readOnly)), Ct))
        );

        Assert.All(
            failures,
            failure =>
                Assert.Equal(
                    ConnectionUnavailableReason.NoHost,
                    Assert.IsType<ConnectionUnavailableException>(failure).Reason
                )
        );
        Assert.InRange(waiting.Elapsed, TimeSpan.Zero, Generous);
        hosts.Primary.Restore();
        hosts.Standby.Restore();
        await Eventually.TrueAsync(async () => await Record.ExceptionAsync(() => UseAsync(hosts, readOnly)) is null);
    }

    private static async Task UseAsync(BehindProxies hosts, bool readOnly)
    {
        await using var context = readOnly
            ? await hosts.App.Contexts.CreateReadOnlyDbContextAsync(hosts.Tenant.Id, Ct)
            : await hosts.App.Contexts.CreateDbContextAsync(hosts.Tenant.Id, Ct);
        await context.Items.CountAsync(Ct);
    }

    private static async Task WriteAsync(BehindProxies hosts, int id)
    {
        await using var context = await hosts.App.Contexts.CreateDbContextAsync(hosts.Tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = "acme" });
        await context.SaveChangesAsync(Ct);
    }

    /// <summary>A primary and its standby, each behind a proxy, and a tenant whose contexts have used both.</summary>
    private sealed record BehindProxies(
        Pair Pair,
        TcpFaultProxy Primary,
        TcpFaultProxy Standby,
        RuntimeApp App,
        DatabaseConnection Row,
        Tenant Tenant
    ) : IAsyncDisposable
    {
        public static async Task<BehindProxies> StartAsync()
        {
            var pair = await Pair.StartAsync();
            var primary = TcpFaultProxy.Start(pair.Primary.Host, pair.Primary.Port);
            var standby = TcpFaultProxy.Start(pair.Standby.Host, pair.Standby.Port);
            var app = pair.NewApp();
            var row = await pair.AddAsync(
                app,
                r =>
                    r with
                    {
                        Host = primary.Host,
                        Port = primary.Port,
                        ReplicaHosts = ReplicaHosts.Parse($"{standby.Host}:{standby.Port}"),
                        PoolTimeout = PoolTimeout,
                        MaxPoolSize = 2 * Callers,
                    }
            );
            var hosts = new BehindProxies(pair, primary, standby, app, row, await app.AddTenantAsync(row, "acme"));
            await pair.CatchUpAsync();
            await ReadOnlyContextTests.OnStandbyAsync(app, hosts.Tenant);
            await UseAsync(hosts, readOnly: false);
            return hosts;
        }

        /// <summary>Waits until a look has found that a host does not answer.</summary>
        public async Task RefusedAsync(int host)
        {
            var guard = (await App.AcquireAsync(Row.Name)).Hosts!.Guard;
            await Eventually.TrueAsync(() => guard.States[host].Refusal is not null);
        }

        public async ValueTask DisposeAsync()
        {
            await App.DisposeAsync();
            await Primary.DisposeAsync();
            await Standby.DisposeAsync();
            await Pair.DisposeAsync();
        }
    }
}
