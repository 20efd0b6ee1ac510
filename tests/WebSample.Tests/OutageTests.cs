using System.Net;

namespace WebSample.Tests;

/// <summary>Has servers of its own, since it stops one.</summary>
public sealed class OutageTests
{
    [Fact]
    public async Task A_stopped_server_takes_its_own_tenants_away_and_nobody_elses_until_it_is_back()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var shop = new ShopApp();
        Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "initech")).Status);
        Assert.Equal("Healthy", (await shop.GetAsync("/health")).Text("status"));
        Assert.StartsWith("kill -INT ", shop.StopCommand("shop-us"), StringComparison.Ordinal);

        await shop.ServerOf("shop-us").StopAsync(ct: ct);

        for (var i = 0; i < 5; i++)
        {
            (await shop.GetAsync("/orders", "initech")).IsProblem(
                HttpStatusCode.ServiceUnavailable,
                "urn:neocommons:database-unavailable"
            );
            Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "acme")).Status);
            Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "globex")).Status);
        }

        var health = await shop.GetAsync("/health");
        Assert.Equal((HttpStatusCode.OK, "Degraded"), (health.Status, health.Text("status")));
        var check = health.Json.GetProperty("checks").GetProperty("neocommons-connections");
        var description = check.GetProperty("description").GetString();
        Assert.Contains("shop-us", description, StringComparison.Ordinal);
        Assert.DoesNotContain("shop-eu", description, StringComparison.Ordinal);
        Assert.Equal("Unhealthy", check.GetProperty("data").GetProperty("shop-us").GetProperty("status").GetString());
        Assert.Equal("Healthy", check.GetProperty("data").GetProperty("shop-eu").GetProperty("status").GetString());
        Assert.DoesNotContain("127.0.0.1", health.Body, StringComparison.Ordinal);
        Assert.Null(shop.StopCommand("shop-us"));

        Assert.Equal(HttpStatusCode.OK, (await shop.PostAsync("/demo/servers/shop-us/start", new { })).Status);

        // It is found within half a second or so, and nobody has to ask.
        for (var i = 0; i < 100 && (await shop.GetAsync("/health")).Text("status") != "Healthy"; i++)
        {
            await Task.Delay(100, ct);
        }

        Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "initech")).Status);
        Assert.Equal("Healthy", (await shop.GetAsync("/health")).Text("status"));
    }
}
