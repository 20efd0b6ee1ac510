using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using WebSample.Shop;

namespace WebSample.Endpoints;

/// <summary>Orders of the tenant.</summary>
internal static class OrderEndpoints
{
    public static void MapOrders(this WebApplication app)
    {
        var orders = app.MapGroup("/orders").OfTenant("Orders");
        orders.MapGet("/", ListAsync).WithSummary("Lists orders, the newest first");
        orders.MapGet("/{id:int}", FindAsync).WithSummary("Finds an order");
        orders
            .MapPost("/", PlaceAsync)
            .WithSummary("Places an order")
            .WithDescription("Takes the products out of stock, or nothing at all.");
    }

    private static async Task<Ok<Page<OrderSummary>>> ListAsync(
        ShopDbContext shop,
        CancellationToken ct,
        int? customer = null,
        [Range(1, Page.Last)] int page = 1,
        [Range(1, Page.MaxSize)] int size = 20
    )
    {
        var orders = shop
            .Orders.Where(o => customer == null || o.CustomerId == customer)
            .OrderByDescending(o => o.PlacedAt)
            .ThenByDescending(o => o.Id)
            .Select(o => new OrderSummary(
                o.Id,
                o.PlacedAt,
                o.Customer!.Name,
                o.Lines.Count,
                Math.Round(o.Lines.Sum(l => l.Quantity * l.UnitPrice), 2)
            ));
        return TypedResults.Ok(await orders.ToPageAsync(page, size, ct));
    }

    private static async Task<Results<Ok<OrderDetails>, NotFound>> FindAsync(
        int id,
        ShopDbContext shop,
        CancellationToken ct
    ) => await ReadAsync(id, shop, ct) is { } order ? TypedResults.Ok(order) : TypedResults.NotFound();

    private static async Task<Results<Created<OrderDetails>, ValidationProblem, ProblemHttpResult>> PlaceAsync(
        NewOrder wanted,
        ShopDbContext shop,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var quantities = wanted.Lines.GroupBy(l => l.ProductId).ToDictionary(g => g.Key, g => g.Sum(l => l.Quantity));
        await using var transaction = await shop.Database.BeginTransactionAsync(ct);
        var prices = await shop
            .Products.Where(p => quantities.Keys.Contains(p.Id))
            .ToDictionaryAsync(p => p.Id, p => p.Price, ct);
        var customerIsKnown = await shop.Customers.AnyAsync(c => c.Id == wanted.CustomerId, ct);
        if (!customerIsKnown || prices.Count < quantities.Count)
        {
            return TypedResults.ValidationProblem(FindUnknown(wanted, customerIsKnown, prices.Keys));
        }

        // In one order, so that two orders for the same products wait for each other instead of forever.
        foreach (var (product, quantity) in quantities.OrderBy(q => q.Key))
        {
            var taken = await shop
                .Products.Where(p => p.Id == product && p.Stock >= quantity)
                .ExecuteUpdateAsync(set => set.SetProperty(p => p.Stock, p => p.Stock - quantity), ct);
            if (taken == 0)
            {
                return TypedResults.Problem(
                    $"There are fewer than {quantity} of product {product} in stock. Order fewer.",
                    statusCode: StatusCodes.Status409Conflict,
                    title: "Not enough in stock"
                );
            }
        }

        var order = new Order
        {
            CustomerId = wanted.CustomerId,
            PlacedAt = time.GetUtcNow(),
            Lines =
            [
                .. quantities.Select(q => new OrderLine
                {
                    ProductId = q.Key,
                    Quantity = q.Value,
                    UnitPrice = prices[q.Key],
                }),
            ],
        };
        shop.Orders.Add(order);
        await shop.SaveChangesAsync(ct);
        var placed = await ReadAsync(order.Id, shop, ct);
        await transaction.CommitAsync(ct);
        return TypedResults.Created($"/orders/{order.Id}", placed);
    }

    private static Task<OrderDetails?> ReadAsync(int id, ShopDbContext shop, CancellationToken ct) =>
        shop
            .Orders.Where(o => o.Id == id)
            .Select(o => new OrderDetails(
                o.Id,
                o.PlacedAt,
                o.CustomerId,
                o.Customer!.Name,
                o.Lines.OrderBy(l => l.ProductId)
                    .Select(l => new OrderedProduct(l.ProductId, l.Product!.Name, l.Quantity, l.UnitPrice))
                    .ToList(),
                Math.Round(o.Lines.Sum(l => l.Quantity * l.UnitPrice), 2)
            ))
            .SingleOrDefaultAsync(ct);

    private static Dictionary<string, string[]> FindUnknown(
        NewOrder wanted,
        bool customerIsKnown,
        ICollection<int> products
    )
    {
        var unknown = wanted
            .Lines.Index()
            .Where(line => !products.Contains(line.Item.ProductId))
            .ToDictionary(
                line => $"Lines[{line.Index}].ProductId",
                line => new[] { $"There is no product {line.Item.ProductId}." }
            );
        if (!customerIsKnown)
        {
            unknown["CustomerId"] = [$"There is no customer {wanted.CustomerId}."];
        }

        return unknown;
    }
}
