using System.Net;

namespace WebSample.Tests;

public sealed class TenantTests(ShopApp shop)
{
    [Fact]
    public async Task An_unknown_tenant_is_not_found() =>
        (await shop.GetAsync("/orders", "nobody")).IsProblem(
            HttpStatusCode.NotFound,
            "urn:neocommons:tenant-not-found"
        );

    [Fact]
    public async Task A_request_for_orders_must_name_a_tenant()
    {
        var answer = await shop.GetAsync("/orders");

        answer.IsProblem(HttpStatusCode.BadRequest, "urn:neocommons:tenant-not-resolved");
        Assert.Contains("X-Tenant", answer.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_tenants_in_one_request_are_refused() =>
        (await shop.GetAsync("/orders", "acme", "globex")).IsProblem(
            HttpStatusCode.BadRequest,
            "urn:neocommons:tenant-not-resolved"
        );

    [Fact]
    public async Task A_new_tenant_has_an_empty_shop_of_its_own()
    {
        var created = await shop.PostAsync("/tenants", new { slug = "hooli", name = "Hooli" });

        Assert.Equal((HttpStatusCode.Created, "/tenants/hooli"), (created.Status, created.Location));
        Assert.Equal(created.Body, (await shop.GetAsync(created.Location!)).Body);
        Assert.Contains("\"hooli\"", (await shop.GetAsync("/tenants")).Body, StringComparison.Ordinal);
        Assert.Equal("0", (await shop.GetAsync("/orders", "hooli")).Text("total"));
        Assert.Equal("0", (await shop.GetAsync("http://hooli.localhost/products")).Text("total"));
    }

    [Fact]
    public async Task A_slug_is_taken_once() =>
        (await shop.PostAsync("/tenants", new { slug = "acme", name = "Another" })).IsProblem(
            HttpStatusCode.Conflict,
            "urn:neocommons:tenant-conflict"
        );

    [Theory]
    [InlineData("Bad Slug!")]
    [InlineData("x")]
    [InlineData("template")]
    [InlineData("a\"; drop schema admin; --")]
    public async Task A_bad_slug_is_refused(string slug) =>
        (await shop.PostAsync("/tenants", new { slug, name = "Bad" })).IsProblem(
            HttpStatusCode.BadRequest,
            "urn:neocommons:invalid-name"
        );

    [Theory]
    [InlineData("""{"name": "No slug"}""")]
    [InlineData("""{"slug": "no-name"}""")]
    [InlineData("""{"slug": "no-database", "name": "x", "connectionName": "nowhere"}""")]
    [InlineData("""{"slug": "nul", "name": "a\u0000b"}""")]
    public async Task An_incomplete_tenant_is_refused(string body)
    {
        var answer = await shop.PostAsync("/tenants", body);

        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (answer.Status, answer.ContentType));
    }

    [Fact]
    public async Task A_member_that_nobody_knows_is_refused_and_named()
    {
        var answer = await shop.PostAsync(
            "/tenants",
            """{"slug": "misplaced", "name": "x", "connection": "shop-us"}"""
        );

        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (answer.Status, answer.ContentType));
        Assert.Contains("$.connection", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await shop.GetAsync("/tenants/misplaced")).Status);
    }

    [Fact]
    public async Task A_new_tenant_goes_where_it_is_told_to()
    {
        var created = await shop.PostAsync(
            "/tenants",
            """{"slug": "placed", "name": "x", "connectionName": "shop-us"}"""
        );

        Assert.Equal((HttpStatusCode.Created, "shop-us"), (created.Status, created.Text("connectionName")));
    }

    [Fact]
    public async Task A_suspended_tenant_is_unavailable_until_it_is_resumed()
    {
        await shop.PostAsync("/tenants", new { slug = "umbrella", name = "Umbrella" });
        Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "umbrella")).Status);

        await shop.AdminAsync("UPDATE admin.tenants SET status = 'suspended' WHERE slug = 'umbrella'");
        (await shop.GetAsync("/orders", "umbrella")).IsProblem(
            HttpStatusCode.ServiceUnavailable,
            "urn:neocommons:tenant-unavailable"
        );
        Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "acme")).Status);

        await shop.AdminAsync("UPDATE admin.tenants SET status = 'active' WHERE slug = 'umbrella'");
        Assert.Equal(HttpStatusCode.OK, (await shop.GetAsync("/orders", "umbrella")).Status);
    }
}
