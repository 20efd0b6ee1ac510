using Microsoft.AspNetCore.Http.HttpResults;

namespace WebSample.Demo;

/// <summary>A throwaway server of the demo.</summary>
/// <param name="Connection">The connection whose database it holds.</param>
/// <param name="Port">Its port on this machine.</param>
/// <param name="IsRunning">Whether it runs.</param>
/// <param name="StopCommand">How to stop it from a shell.</param>
internal sealed record DemoServer(string Connection, int Port, bool IsRunning, string? StopCommand);

/// <summary>Stops and starts the throwaway servers, to see what becomes of their tenants and of /health.</summary>
internal static class DemoEndpoints
{
    public static void MapDemo(this WebApplication app, DemoServers? servers)
    {
        // Servers of source External or Container are not ours to stop.
        if (servers is null || servers.ByConnection.Values.Any(s => s.DataDirectory is null))
        {
            return;
        }

        var demo = app.MapGroup("/demo/servers").WithTags("Demo");
        demo.MapGet("/", () => servers.ByConnection.Keys.Select(c => Describe(servers, c)))
            .WithSummary("Lists the throwaway servers");
        demo.MapPost("/{connection}/stop", (string connection) => ChangeAsync(servers, connection, stop: true))
            .WithSummary("Stops the server of a connection");
        demo.MapPost("/{connection}/start", (string connection) => ChangeAsync(servers, connection, stop: false))
            .WithSummary("Starts it again");
    }

    private static async Task<Results<Ok<DemoServer>, NotFound>> ChangeAsync(
        DemoServers servers,
        string connection,
        bool stop
    )
    {
        if (!servers.ByConnection.TryGetValue(connection, out var server))
        {
            return TypedResults.NotFound();
        }

        await (stop ? server.StopAsync() : server.StartAgainAsync());
        return TypedResults.Ok(Describe(servers, connection));
    }

    private static DemoServer Describe(DemoServers servers, string connection)
    {
        var stop = servers.StopCommand(connection);
        return new DemoServer(connection, servers.ByConnection[connection].Port, stop is not null, stop);
    }
}
