using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using WebSample.Shop;

namespace WebSample.Endpoints;

/// <summary>Products and customers of the tenant.</summary>
internal static class CatalogEndpoints
{
    public static void MapCatalog(this WebApplication app)
    {
        var products = app.MapGroup("/products").OfTenant("Products");
        products.MapGet("/", ListProductsAsync).WithSummary("Lists products, by name");
        products.MapGet("/{id:int}", FindProductAsync).WithSummary("Finds a product");
        var customers = app.MapGroup("/customers").OfTenant("Customers");
        customers.MapGet("/", ListCustomersAsync).WithSummary("Lists customers, by name");
        customers.MapGet("/{id:int}", FindCustomerAsync).WithSummary("Finds a customer");
    }

    private static async Task<Ok<Page<Product>>> ListProductsAsync(
        ShopDbContext shop,
        CancellationToken ct,
        [StringLength(100), RegularExpression("[^\\0]*")] string? search = null,
        [Range(1, Page.Last)] int page = 1,
        [Range(1, Page.MaxSize)] int size = 20
    )
    {
        var products = shop.Products.AsNoTracking();
        if (!string.IsNullOrWhiteSpace(search))
        {
            products = products.Where(p => EF.Functions.ILike(p.Name, $"%{search}%") || p.Sku == search);
        }

        return TypedResults.Ok(await products.OrderBy(p => p.Name).ThenBy(p => p.Id).ToPageAsync(page, size, ct));
    }

    private static async Task<Results<Ok<Product>, NotFound>> FindProductAsync(
        int id,
        ShopDbContext shop,
        CancellationToken ct
    ) =>
        await shop.Products.AsNoTracking().SingleOrDefaultAsync(p => p.Id == id, ct) is { } product
            ? TypedResults.Ok(product)
            : TypedResults.NotFound();

    private static async Task<Ok<Page<Customer>>> ListCustomersAsync(
        ShopDbContext shop,
        CancellationToken ct,
        [Range(1, Page.Last)] int page = 1,
        [Range(1, Page.MaxSize)] int size = 20
    ) =>
        TypedResults.Ok(
            await shop.Customers.AsNoTracking().OrderBy(c => c.Name).ThenBy(c => c.Id).ToPageAsync(page, size, ct)
        );

    private static async Task<Results<Ok<Customer>, NotFound>> FindCustomerAsync(
        int id,
        ShopDbContext shop,
        CancellationToken ct
    ) =>
        await shop.Customers.AsNoTracking().SingleOrDefaultAsync(c => c.Id == id, ct) is { } customer
            ? TypedResults.Ok(customer)
            : TypedResults.NotFound();
}
