using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.AspNetCore.Tests;

/// <summary>An application without a database: it answers every path with the slug of the current tenant.</summary>
public sealed class WebApp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private WebApp(WebApplication app) => _app = app;

    public KnownTenants Tenants => (KnownTenants)_app.Services.GetRequiredService<ITenantStore>();

    public LogLines Log => _app.Services.GetRequiredService<LogLines>();

    public static async Task<WebApp> StartAsync(
        Action<TenantResolutionOptions> resolution,
        Action<WebApplication>? configure = null,
        Action<WebApplication>? before = null,
        TimeProvider? time = null
    )
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Production" });
        builder.WebHost.UseTestServer();
        var log = new LogLines();
        builder.Logging.ClearProviders().AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        builder.Services.AddSingleton(log);
        builder.Services.AddSingleton(time ?? TimeProvider.System);
        builder.Services.AddNeoCommons(new ConfigurationBuilder().Build());
        builder.Services.AddSingleton<ITenantStore, KnownTenants>();
        builder.Services.AddSingleton<IConnectionRegistry, NoConnections>();
        builder.Services.AddNeoCommonsProblemDetails();
        var app = builder.Build();
        (before ?? (a => a.UseExceptionHandler()))(app);
        app.UseTenantResolution(resolution);
        configure?.Invoke(app);
        app.MapFallback("{**path}", (ITenantContext current) => current.Tenant?.Slug ?? "nobody");
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new WebApp(app);
    }

    /// <summary>Sends a request; a header can be given several times.</summary>
    public async Task<Response> GetAsync(string url, params (string Name, string Value)[] headers)
    {
        // Not HttpClient: it would tidy up hosts and headers that a real caller can send.
        var parts = url.Split('/', 4);
        var context = await _app.GetTestServer()
            .SendAsync(
                c =>
                {
                    c.Request.Method = "GET";
                    c.Request.Path = "/" + parts[3];
                    c.Request.Host = new HostString(parts[2]);
                    foreach (var header in headers.GroupBy(h => h.Name))
                    {
                        c.Request.Headers[header.Key] = header.Select(h => h.Value).ToArray();
                    }
                },
                TestContext.Current.CancellationToken
            );
        using var reader = new StreamReader(context.Response.Body);
        return new Response(
            (HttpStatusCode)context.Response.StatusCode,
            context.Response.ContentType,
            await reader.ReadToEndAsync(TestContext.Current.CancellationToken),
            context.Response.Headers.RetryAfter.ToString()
        );
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    public sealed record Response(HttpStatusCode Status, string? ContentType, string Body, string RetryAfter)
    {
        public JsonElement Json => JsonDocument.Parse(Body).RootElement;

        public string? Type => Json.GetProperty("type").GetString();
    }
}
