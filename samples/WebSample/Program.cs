using NeoCommons.EfCore;
using NeoCommons.EfCore.AspNetCore;
using Npgsql;
using OpenTelemetry.Metrics;
using WebSample.Demo;
using WebSample.Endpoints;
using WebSample.Shop;

var builder = WebApplication.CreateBuilder(args);

// Two throwaway servers for a developer; none where ADMIN_DATABASE_URL says which database to use, or for a command.
await using var servers = await DemoServers.StartAsync(builder, args);

builder
    .Services.AddNeoCommons(builder.Configuration)
    .UseAdminDatabase(admin => admin.MigrateOnStart = true)
    .AddTenantDbContext<ShopDbContext>()
    .UseRedis(); // shares the registry between processes where REDIS_URL is set
builder.Services.AddNeoCommonsProblemDetails();
builder.Services.AddHealthChecks().AddNeoCommons();
builder
    .Services.AddOpenTelemetry()
    .WithMetrics(m => m.AddMeter(NeoCommonsTelemetry.Meters).AddNpgsqlInstrumentation().AddPrometheusExporter());
builder.Services.AddValidation();
builder.Services.Configure<RouteHandlerOptions>(o => o.ThrowOnBadRequest = true); // to UnreadableRequests, which says why
builder.Services.AddExceptionHandler<UnreadableRequests>();
builder.Services.AddShopOpenApi();
builder.Services.AddDemo(builder.Configuration);

var app = builder.Build();
app.UseExceptionHandler();
app.UseStatusCodePages();
app.UseTenantResolution(o => o.FromSubdomain("localhost").FromHeader("X-Tenant"));

app.MapCatalog();
app.MapOrders();
app.MapReports();
app.MapTenants();
app.MapDemo(servers);
app.MapHealthChecks("/health", new() { ResponseWriter = NeoCommonsHealthResponse.WriteAsync });
app.MapHealthChecks("/health/live", new() { Predicate = check => check.Tags.Contains("live") }); // restart it?
app.MapHealthChecks("/health/ready", new() { Predicate = check => check.Tags.Contains("ready") }); // send it requests?
app.MapPrometheusScrapingEndpoint("/metrics"); // shows host names of databases: for your own network
app.MapShopOpenApi();

return await app.RunNeoCommonsAsync(args); // "tenants list" and the like, or the shop
