using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.Testing;
using WebSample.Demo;
using WebSample.Tests;

[assembly: AssemblyFixture(typeof(ShopApp))]

namespace WebSample.Tests;

/// <summary>The sample as it is, with its two servers and less data.</summary>
public sealed class ShopApp : WebApplicationFactory<Program>
{
    public const int Orders = 150;

    private DemoServers Servers => Services.GetRequiredService<DemoServers>();

    public PostgresServer ServerOf(string connection) => Servers.ByConnection[connection];

    public string? StopCommand(string connection) => Servers.StopCommand(connection);

    protected override void ConfigureWebHost(IWebHostBuilder builder) =>
        builder
            .UseEnvironment("Development")
            // The environment of whoever runs the tests may name one.
            .UseSetting("ADMIN_DATABASE_URL", "")
            .UseSetting("Demo:Products", "60")
            .UseSetting("Demo:Customers", "80")
            .UseSetting("Demo:Orders", $"{Orders}");

    public async Task<Answer> GetAsync(string path, params string[] tenants) =>
        await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), tenants);

    public async Task<Answer> PostAsync(string path, object body, params string[] tenants) =>
        await SendAsync(
            new HttpRequestMessage(HttpMethod.Post, path)
            {
                Content = body is string text
                    ? new StringContent(text, MediaTypeHeaderValue.Parse("application/json"))
                    : JsonContent.Create(body),
            },
            tenants
        );

    /// <summary>Executes plain SQL in the admin database, as an operator would, and makes it known at once.</summary>
    public async Task AdminAsync(string sql)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var admin = await Services
            .GetRequiredService<IDbContextFactory<AdminDbContext>>()
            .CreateDbContextAsync(ct);
        await admin.Database.ExecuteSqlRawAsync(sql, ct);
        await Services.GetRequiredService<IRegistryReload>().ReloadAsync(ct);
    }

    private async Task<Answer> SendAsync(HttpRequestMessage request, string[] tenants)
    {
        using var client = CreateClient();
        foreach (var tenant in tenants)
        {
            request.Headers.Add("X-Tenant", tenant);
        }

        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return new Answer(
            response.StatusCode,
            response.Content.Headers.ContentType?.MediaType,
            response.Headers.Location?.OriginalString,
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)
        );
    }

    public sealed record Answer(HttpStatusCode Status, string? ContentType, string? Location, string Body)
    {
        public JsonElement Json => JsonDocument.Parse(Body).RootElement;

        public string Text(string property) => Json.GetProperty(property).ToString();

        /// <summary>Checks that this is a problem of the type, and that it shows nothing that is nobody's business.</summary>
        public void IsProblem(HttpStatusCode status, string type)
        {
            Assert.Equal(status, Status);
            Assert.Equal("application/problem+json", ContentType);
            Assert.Equal(type, Text("type"));
            Assert.DoesNotContain("127.0.0.1", Body, StringComparison.Ordinal);
            Assert.DoesNotContain("shop-", Body, StringComparison.Ordinal);
            Assert.DoesNotContain("Exception", Body, StringComparison.Ordinal);
        }
    }
}
