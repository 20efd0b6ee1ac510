using System.Net;
using System.Text.Json;

namespace WebSample.Tests;

public sealed class OrderTests(ShopApp shop)
{
    private static object Order(int product = 1, int quantity = 1, int customer = 1) =>
        new { customerId = customer, lines = new[] { new { productId = product, quantity } } };

    [Fact]
    public async Task An_order_of_one_tenant_is_not_there_for_another()
    {
        // One of the same database, and one of another.
        var globex = await shop.GetAsync("/orders", "globex");
        var initech = await shop.GetAsync("/orders", "initech");

        var placed = await shop.PostAsync("/orders", Order(product: 2, quantity: 3), "acme");

        Assert.Equal(HttpStatusCode.Created, placed.Status);
        var there = await shop.GetAsync(placed.Location!, "acme");
        Assert.Equal(placed.Body, there.Body);
        Assert.Equal(3, there.Json.GetProperty("lines")[0].GetProperty("quantity").GetInt32());
        // Globex may have an order of the same number, but not this one.
        Assert.NotEqual(placed.Body, (await shop.GetAsync(placed.Location!, "globex")).Body);
        Assert.Equal(HttpStatusCode.NotFound, (await shop.GetAsync(placed.Location!, "initech")).Status);
        Assert.Equal(globex.Body, (await shop.GetAsync("/orders", "globex")).Body);
        Assert.Equal(initech.Body, (await shop.GetAsync("/orders", "initech")).Body);
        var newest = (await shop.GetAsync("/orders?size=1", "acme")).Json.GetProperty("items")[0];
        Assert.Equal(placed.Text("id"), newest.GetProperty("id").ToString());
    }

    [Fact]
    public async Task Tenants_have_different_orders_and_each_its_own()
    {
        var lists = new List<string>();
        foreach (var tenant in new[] { "acme", "globex", "initech" })
        {
            var answer = await shop.GetAsync("/orders?size=100&page=2", tenant);
            Assert.Equal(HttpStatusCode.OK, answer.Status);
            Assert.InRange(answer.Json.GetProperty("items").GetArrayLength(), ShopApp.Orders - 100, 100);
            Assert.True(answer.Json.GetProperty("total").GetInt32() >= ShopApp.Orders);
            lists.Add(answer.Body);
        }

        Assert.Equal(3, lists.Distinct().Count());
    }

    [Fact]
    public async Task The_tenant_can_be_the_subdomain()
    {
        var byHost = await shop.GetAsync("http://globex.localhost/products?size=5");

        Assert.Equal(HttpStatusCode.OK, byHost.Status);
        Assert.Equal((await shop.GetAsync("/products?size=5", "globex")).Body, byHost.Body);
        Assert.NotEqual((await shop.GetAsync("/products?size=5", "acme")).Body, byHost.Body);
    }

    [Fact]
    public async Task An_order_takes_from_the_stock_or_changes_nothing()
    {
        async Task<int> Stock(int product) =>
            (await shop.GetAsync($"/products/{product}", "globex")).Json.GetProperty("stock").GetInt32();
        var (first, second) = (await Stock(3), await Stock(4));
        var orders = (await shop.GetAsync("/orders", "globex")).Text("total");

        var tooMuch = await shop.PostAsync(
            "/orders",
            new
            {
                customerId = 1,
                lines = new[] { new { productId = 3, quantity = 1 }, new { productId = 4, quantity = 1_000 } },
            },
            "globex"
        );

        Assert.Equal(HttpStatusCode.Conflict, tooMuch.Status);
        Assert.Equal((first, second), (await Stock(3), await Stock(4)));
        Assert.Equal(orders, (await shop.GetAsync("/orders", "globex")).Text("total"));

        Assert.Equal(HttpStatusCode.Created, (await shop.PostAsync("/orders", Order(3, 2), "globex")).Status);
        Assert.Equal((first - 2, second), (await Stock(3), await Stock(4)));
    }

    [Fact]
    public async Task Orders_placed_at_the_same_time_do_not_wait_for_each_other_forever()
    {
        object Both(bool turned) =>
            new
            {
                customerId = 2,
                lines = (turned ? new[] { 6, 5 } : [5, 6]).Select(p => new { productId = p, quantity = 1 }),
            };

        var placed = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => shop.PostAsync("/orders", Both(i % 2 == 0), "acme"))
        );

        Assert.All(placed, answer => Assert.Equal(HttpStatusCode.Created, answer.Status));
        Assert.Equal(20, placed.Select(answer => answer.Text("id")).Distinct().Count());
    }

    public static TheoryData<string, string> WrongOrders =>
        new()
        {
            { """{"customerId": 1, "lines": [{"productId": 9999, "quantity": 1}]}""", "Lines[0].ProductId" },
            { """{"customerId": 9999, "lines": [{"productId": 1, "quantity": 1}]}""", "CustomerId" },
            { """{"customerId": 1, "lines": [{"productId": 1, "quantity": 0}]}""", "Lines[0].Quantity" },
            { """{"customerId": 1, "lines": [{"productId": 1, "quantity": -1}]}""", "Lines[0].Quantity" },
            { """{"customerId": 1, "lines": [{"productId": 1, "quantity": 1001}]}""", "Lines[0].Quantity" },
            { """{"customerId": 1, "lines": []}""", "Lines" },
            { """{"customerId": 1}""", "Lines" },
            { """{"customerId": 1, "lines": null}""", "Lines" },
            { """{"customerId": 1, "lines": [null]}""", "" },
            { """{"customerId": "one", "lines": []}""", "" },
            { """{"customerId": 1, "lines": [""", "" },
        };

    [Theory]
    [MemberData(nameof(WrongOrders))]
    public async Task A_wrong_order_is_refused_with_the_reason(string body, string field)
    {
        var answer = await shop.PostAsync("/orders", body, "acme");

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal("application/problem+json", answer.ContentType);
        if (field.Length > 0)
        {
            Assert.True(answer.Json.GetProperty("errors").TryGetProperty(field, out JsonElement _), answer.Body);
        }
    }

    [Theory]
    [InlineData("/orders?size=0")]
    [InlineData("/orders?size=101")]
    [InlineData("/orders?page=0")]
    [InlineData("/orders?page=100001")]
    [InlineData("/orders?page=x")]
    [InlineData("/products?size=-1")]
    [InlineData("/products?search=%00")]
    [InlineData("/customers?size=1000000")]
    [InlineData("/reports/sales?top=0")]
    public async Task A_page_out_of_bounds_is_refused(string path)
    {
        var answer = await shop.GetAsync(path, "acme");

        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (answer.Status, answer.ContentType));
    }

    [Theory]
    [InlineData("/orders/999999")]
    [InlineData("/products/999999")]
    [InlineData("/customers/0")]
    [InlineData("/tenants/nobody")]
    [InlineData("/nothing")]
    public async Task What_is_not_there_is_not_found(string path)
    {
        var answer = await shop.GetAsync(path, "acme");

        Assert.Equal((HttpStatusCode.NotFound, "application/problem+json"), (answer.Status, answer.ContentType));
    }

    [Fact]
    public async Task The_report_adds_up_the_tenants_own_orders()
    {
        var report = (await shop.GetAsync("/reports/sales?top=100", "initech")).Json;

        var byMonth = report.GetProperty("months").EnumerateArray().Sum(m => m.GetProperty("revenue").GetDecimal());
        var byProduct = report
            .GetProperty("topProducts")
            .EnumerateArray()
            .Sum(p => p.GetProperty("revenue").GetDecimal());
        Assert.True(byMonth > 0);
        Assert.Equal(byMonth, byProduct);
        Assert.Equal(
            ShopApp.Orders,
            report.GetProperty("months").EnumerateArray().Sum(m => m.GetProperty("orders").GetInt32())
        );
    }
}
