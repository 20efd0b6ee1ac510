using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using NeoCommons.EfCore;

namespace WebSample.Demo;

/// <summary>Says on the console where the shop is and what to try.</summary>
internal sealed class Welcome(
    IServer server,
    ITenantStore tenants,
    IConnectionRegistry connections,
    DemoServers? servers = null
) : IHostedLifecycleService
{
    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        if (server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is not { } address)
        {
            return;
        }

        var url = Reachable(address);
        Console.WriteLine(
            $"""

            The shop is open at {url}
              API reference  {url}/scalar
              Health         {url}/health
              Metrics        {url}/metrics
            """
        );
        if (servers is not null)
        {
            ShowDemo(url, servers);
        }
        else
        {
            await ShowTenantsAsync(url, cancellationToken);
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>The address to show: subdomains of localhost lead to this machine, those of an IP address nowhere.</summary>
    private static string Reachable(string address)
    {
        var parsed = BindingAddress.Parse(address);
        var host = parsed.Host is "127.0.0.1" or "[::1]" or "0.0.0.0" or "[::]" or "*" or "+"
            ? "localhost"
            : parsed.Host;
        return $"{parsed.Scheme}://{host}:{parsed.Port}";
    }

    private static void ShowDemo(string url, DemoServers servers)
    {
        Console.WriteLine(
            $$"""

            Try
              curl '{{url.Replace("://", "://acme.", StringComparison.Ordinal)}}/orders?size=3'
              curl -H 'X-Tenant: initech' '{{url}}/reports/sales?top=3'
              curl -H 'X-Tenant: acme' -H 'Content-Type: application/json' {{url}}/orders \
                -d '{"customerId": 1, "lines": [{"productId": 7, "quantity": 2}]}'

            Throwaway PostgreSQL servers
            """
        );
        foreach (var (connection, postgres) in servers.ByConnection)
        {
            var holds = connection == "shop-us" ? "initech" : "acme, globex and the admin database";
            Console.WriteLine($"  {connection}  {postgres.Host}:{postgres.Port}  {holds}");
        }

        if (servers.Exports is { } exports)
        {
            Console.WriteLine(
                $"""

                Commands, in a second terminal, in the folder of run.sh
                  {exports}
                  ./run.sh tenants list
                """
            );
        }

        if (servers.StopCommand("shop-us") is { } stop)
        {
            Console.WriteLine(
                $"""

                Stop one: initech is unavailable, /health names shop-us, and the others go on
                  {stop}
                Start it again
                  curl -X POST {url}/demo/servers/shop-us/start

                """
            );
        }
    }

    private async Task ShowTenantsAsync(string url, CancellationToken ct)
    {
        try
        {
            var slugs = await tenants.ListAsync(ct).Take(3).Select(t => t.Slug).ToListAsync(ct);
            Console.WriteLine(
                slugs.Count > 0 ? $"\nTry\n  curl -H 'X-Tenant: {slugs[0]}' '{url}/orders?size=3'\n"
                : (await connections.ListAsync(ct)).Count > 0
                    ? $"\nThere is no tenant yet. Create one: POST {url}/tenants\n"
                : "\nNo database for tenants is registered yet: ./run.sh connections add\n"
            );
        }
        catch (ConnectionUnavailableException)
        {
            Console.WriteLine("\nThe admin database is away: tenants that are known are served all the same.\n");
        }
    }
}
