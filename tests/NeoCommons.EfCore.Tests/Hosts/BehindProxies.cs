using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A primary and its standby, each behind a proxy, and a tenant whose contexts have used both.</summary>
internal sealed record BehindProxies(
    Pair Pair,
    TcpFaultProxy Primary,
    TcpFaultProxy Standby,
    RuntimeApp App,
    DatabaseConnection Row,
    Tenant Tenant
) : IAsyncDisposable
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<BehindProxies> StartAsync(
        Func<DatabaseConnection, DatabaseConnection>? change = null,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<IServiceCollection>? configure = null
    )
    {
        var pair = await Pair.StartAsync();
        var primary = TcpFaultProxy.Start(pair.Primary.Host, pair.Primary.Port);
        var standby = TcpFaultProxy.Start(pair.Standby.Host, pair.Standby.Port);
        var app = pair.NewApp(settings, configure: configure);
        var row = await pair.AddAsync(
            app,
            r =>
                (change ?? (same => same))(r) with
                {
                    Host = primary.Host,
                    Port = primary.Port,
                    ReplicaHosts = ReplicaHosts.Parse($"{standby.Host}:{standby.Port}"),
                }
        );
        var hosts = new BehindProxies(pair, primary, standby, app, row, await app.AddTenantAsync(row, "acme"));
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, hosts.Tenant);
        await hosts.ServesAsync();
        return hosts;
    }

    /// <summary>As servers do that are stopped.</summary>
    public void Stop()
    {
        foreach (var proxy in new[] { Primary, Standby })
        {
            proxy.RefuseConnections();
            proxy.Cut();
        }
    }

    /// <summary>Waits until the looks have found that nobody is there.</summary>
    public Task AwayAsync(string? name = null) =>
        Eventually.TrueAsync(async () =>
            Record.Exception((await App.AcquireAsync(name ?? Row.Name)).Hosts!.Outage.ThrowIfOn) is not null
        );

    /// <summary>Waits until a look has found that a host does not answer.</summary>
    public async Task RefusedAsync(int host)
    {
        var guard = (await App.AcquireAsync(Row.Name)).Hosts!.Guard;
        await Eventually.TrueAsync(() => guard.States[host].Refusal is not null);
    }

    /// <summary>Waits until the row's pool has no connections to these hosts, and to all others.</summary>
    public Task LeftOutAsync(HashSet<int> hosts) =>
        Eventually.TrueAsync(async () => (await App.AcquireAsync(Row.Name)).Hosts!.LeftOut.SetEquals(hosts));

    public Task ServesAsync() =>
        Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => OwnerAsync(readOnly: false)) is null
            && await Record.ExceptionAsync(() => OwnerAsync(readOnly: true)) is null
        );

    public async Task<string> OwnerAsync(bool readOnly)
    {
        await using var context = readOnly
            ? await App.Contexts.CreateReadOnlyDbContextAsync(Tenant.Id, Ct)
            : await App.Contexts.CreateDbContextAsync(Tenant.Id, Ct);
        return (await context.Items.SingleAsync(Ct)).Owner;
    }

    public async Task<string?> TryOwnerAsync(bool readOnly)
    {
        string? owner = null;
        await Record.ExceptionAsync(async () => owner = await OwnerAsync(readOnly));
        return owner;
    }

    public async Task<ConnectionUnavailableReason?> ReasonAsync(bool readOnly) =>
        (await Record.ExceptionAsync(() => OwnerAsync(readOnly)) as ConnectionUnavailableException)?.Reason;

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await Primary.DisposeAsync();
        await Standby.DisposeAsync();
        await Pair.DisposeAsync();
    }
}
