using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>An application with a connection that leads through a proxy, which has been used.</summary>
/// <param name="App">The application.</param>
/// <param name="Proxy">The proxy.</param>
/// <param name="Row">The connection.</param>
/// <param name="Direct">The same database without the proxy; not registered.</param>
/// <param name="Breaker">The connection's breaker.</param>
internal sealed record BehindProxy(
    RuntimeApp App,
    TcpFaultProxy Proxy,
    DatabaseConnection Row,
    DatabaseConnection Direct,
    ConnectionBreaker Breaker
) : IAsyncDisposable
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<BehindProxy> StartAsync(
        PostgresServer server,
        Func<DatabaseConnection, DatabaseConnection>? change = null,
        Dictionary<string, string?>? settings = null,
        Action<IServiceCollection>? configure = null
    )
    {
        var proxy = TcpFaultProxy.Start(server.Host, server.Port);
        var app = new RuntimeApp(server, settings, configure: configure);
        var direct = await app.NewDatabaseAsync();
        var row = direct with { Host = proxy.Host, Port = proxy.Port };
        row = change is null ? row : change(row);
        app.Registry.Set(row);
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        return new BehindProxy(app, proxy, row, direct, (await app.AcquireAsync(row.Name)).Breaker);
    }

    public Task<ConnectionUnavailableException> RefusalAsync() =>
        Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await App.Connections.OpenConnectionAsync(Row.Name, Ct)
        );

    /// <summary>As a server does that is stopped.</summary>
    public void Stop()
    {
        Proxy.RefuseConnections();
        Proxy.Cut();
    }

    /// <summary>Uses connections until callers are refused; one that was idle and is dead is handed out at first.</summary>
    public Task FailUntilOpenAsync() =>
        Eventually.TrueAsync(async () =>
        {
            try
            {
                await using var connection = await App.Connections.OpenConnectionAsync(Row.Name, Ct);
                await RuntimeApp.PidAsync(connection);
            }
            catch (Exception e) when (e is ConnectionUnavailableException or NpgsqlException) { }

            return Breaker.IsOpen;
        });

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        await Proxy.DisposeAsync();
    }
}
