using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.AspNetCore.Tests.TenantResolution;

public sealed class TenantResolutionTests
{
    private static Task<WebApp> Shop() =>
        WebApp.StartAsync(o => o.FromSubdomain("shop.example").FromHeader("X-Tenant"));

    [Theory]
    [InlineData("http://acme.shop.example/", "acme")]
    [InlineData("http://ACME.Shop.Example/", "acme")]
    [InlineData("http://acme.shop.example:5080/", "acme")]
    [InlineData("http://acme.shop.example./", "acme")]
    [InlineData("http://acme.shop.example.:443/", "acme")]
    [InlineData("http://shop.example/", "nobody")]
    [InlineData("http://shop.example./", "nobody")]
    [InlineData("http://.shop.example/", "nobody")]
    [InlineData("http://a.acme.shop.example/", "nobody")]
    [InlineData("http://acmeshop.example/", "nobody")]
    [InlineData("http://acme.shop.example.evil.test/", "nobody")]
    [InlineData("http://acme.shop.example../", "nobody")]
    [InlineData("http://evil.test/acme.shop.example", "nobody")]
    [InlineData("http://127.0.0.1:5080/", "nobody")]
    [InlineData("http://[::1]:5080/", "nobody")]
    public async Task Exactly_one_label_below_the_base_domain_is_the_tenant(string url, string expected)
    {
        await using var app = await Shop();

        var response = await app.GetAsync(url);

        Assert.Equal((HttpStatusCode.OK, expected), (response.Status, response.Body));
    }

    [Theory]
    [InlineData("localhost", "http://acme.localhost:5080/")]
    [InlineData(".LocalHost.", "http://acme.localhost/")]
    [InlineData("Shop.Example.", "http://acme.shop.example/")]
    public async Task The_base_domain_can_be_written_in_any_way(string baseDomain, string url)
    {
        await using var app = await WebApp.StartAsync(o => o.FromSubdomain(baseDomain));

        Assert.Equal("acme", (await app.GetAsync(url)).Body);
    }

    [Theory]
    [InlineData("http://acme.shop.example/", "globex", "acme")]
    [InlineData("http://shop.example/", "globex", "globex")]
    [InlineData("http://acme.shop.example/", "no-such-tenant", "acme")]
    public async Task The_first_place_that_names_a_tenant_decides(string url, string header, string expected)
    {
        await using var app = await Shop();

        var response = await app.GetAsync(url, ("X-Tenant", header));

        Assert.Equal(expected, response.Body);
        Assert.Equal(1, app.Tenants.Lookups);
    }

    [Theory]
    [InlineData("no-such-tenant", HttpStatusCode.NotFound)]
    [InlineData("asleep", HttpStatusCode.ServiceUnavailable)]
    public async Task A_tenant_that_cannot_be_used_is_not_replaced_by_one_named_elsewhere(
        string slug,
        HttpStatusCode expected
    )
    {
        await using var app = await Shop();

        var response = await app.GetAsync($"http://{slug}.shop.example/", ("X-Tenant", "globex"));

        Assert.Equal(expected, response.Status);
    }

    [Fact]
    public async Task A_request_that_names_no_tenant_goes_on_without_one_and_without_a_lookup()
    {
        await using var app = await Shop();

        Assert.Equal("nobody", (await app.GetAsync("http://shop.example/")).Body);
        Assert.Equal(0, app.Tenants.Lookups);
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(",")]
    public async Task An_empty_header_names_no_tenant(string value)
    {
        await using var app = await Shop();

        Assert.Equal("nobody", (await app.GetAsync("http://shop.example/", ("X-Tenant", value))).Body);
    }

    [Theory]
    [InlineData("acme", "globex")]
    [InlineData("acme, globex")]
    [InlineData("acme", "acme,globex")]
    [InlineData("globex", "", "acme")]
    [InlineData("acme", "ACME")]
    public async Task Different_tenants_in_the_header_are_refused(params string[] values)
    {
        await using var app = await Shop();

        var response = await app.GetAsync("http://shop.example/", [.. values.Select(v => ("X-Tenant", v))]);

        Assert.Equal(HttpStatusCode.BadRequest, response.Status);
        Assert.Equal("urn:neocommons:tenant-not-resolved", response.Type);
        Assert.Equal(0, app.Tenants.Lookups);
    }

    [Theory]
    [InlineData("acme", "acme")]
    [InlineData(" acme , acme")]
    [InlineData("acme", "")]
    public async Task The_same_tenant_several_times_in_the_header_is_that_tenant(params string[] values)
    {
        await using var app = await Shop();

        var response = await app.GetAsync("http://shop.example/", [.. values.Select(v => ("X-Tenant", v))]);

        Assert.Equal("acme", response.Body);
    }

    [Theory]
    [InlineData("ACME")]
    [InlineData("no-such-tenant")]
    [InlineData("a")]
    [InlineData("acme'; DROP SCHEMA tenant_acme; --")]
    [InlineData("../acme")]
    public async Task A_header_that_is_no_tenants_slug_is_not_found(string value)
    {
        await using var app = await Shop();

        var response = await app.GetAsync("http://shop.example/", ("X-Tenant", value));

        Assert.Equal(HttpStatusCode.NotFound, response.Status);
        Assert.Equal("urn:neocommons:tenant-not-found", response.Type);
    }

    [Fact]
    public async Task A_tenants_id_is_not_a_name_for_it()
    {
        await using var app = await Shop();

        var response = await app.GetAsync("http://shop.example/", ("X-Tenant", KnownTenants.Acme.Id.ToString()));

        Assert.Equal(HttpStatusCode.NotFound, response.Status);
    }

    [Fact]
    public async Task An_application_can_find_the_tenant_itself()
    {
        await using var app = await WebApp.StartAsync(o =>
            o.From("in query value 'shop'", c => c.Request.Path.Value!.Trim('/')).FromHeader("X-Tenant")
        );

        Assert.Equal("globex", (await app.GetAsync("http://shop.example/globex", ("X-Tenant", "acme"))).Body);
        Assert.Equal("acme", (await app.GetAsync("http://shop.example/", ("X-Tenant", "acme"))).Body);
    }

    [Fact]
    public async Task The_page_that_an_exception_handler_executes_is_reached_although_the_tenant_is_unknown()
    {
        await using var app = await WebApp.StartAsync(
            o => o.FromHeader("X-Tenant"),
            app => app.MapGet("/sorry", (ITenantContext current) => $"sorry, {current.Tenant?.Slug ?? "nobody"}"),
            before: app => app.UseExceptionHandler("/sorry")
        );
        app.Tenants.Fault = new InvalidOperationException("not one of ours");

        var response = await app.GetAsync("http://shop.example/", ("X-Tenant", "acme"));

        Assert.Equal((HttpStatusCode.InternalServerError, "sorry, nobody"), (response.Status, response.Body));
    }

    [Fact]
    public async Task Resolving_twice_is_the_same_tenant_or_refused()
    {
        await using var app = await WebApp.StartAsync(
            o => o.FromSubdomain("shop.example"),
            app => app.UseTenantResolution(o => o.FromHeader("X-Tenant"))
        );

        Assert.Equal("acme", (await app.GetAsync("http://acme.shop.example/", ("X-Tenant", "acme"))).Body);
        Assert.Equal(
            "urn:neocommons:tenant-isolation",
            (await app.GetAsync("http://acme.shop.example/", ("X-Tenant", "globex"))).Type
        );
    }

    [Fact]
    public async Task Without_a_place_to_look_the_application_does_not_start()
    {
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => WebApp.StartAsync(_ => { }));

        Assert.Contains("FromHeader", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_tenants_the_application_does_not_start()
    {
        var app = new ApplicationBuilder(new ServiceCollection().BuildServiceProvider());

        var e = Assert.Throws<InvalidOperationException>(() => app.UseTenantResolution(o => o.FromHeader("X-Tenant")));

        Assert.Contains("AddNeoCommons", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://shop.example")]
    [InlineData("shop.example:5080")]
    [InlineData("*.shop.example")]
    [InlineData("127.0.0.1")]
    [InlineData("[::1]")]
    [InlineData("münchen.example")]
    [InlineData(".")]
    [InlineData(" ")]
    public void What_is_not_a_domain_is_refused(string baseDomain) =>
        Assert.ThrowsAny<ArgumentException>(() => new TenantResolutionOptions().FromSubdomain(baseDomain));
}
