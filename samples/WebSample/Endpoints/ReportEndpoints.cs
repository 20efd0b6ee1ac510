using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using WebSample.Shop;

namespace WebSample.Endpoints;

/// <summary>What the tenant sold.</summary>
public sealed record SalesReport(IReadOnlyList<MonthlyRevenue> Months, IReadOnlyList<ProductRevenue> TopProducts);

/// <summary>A month's sales.</summary>
public sealed record MonthlyRevenue(string Month, int Orders, decimal Revenue);

/// <summary>A product's sales.</summary>
public sealed record ProductRevenue(int ProductId, string Name, int Quantity, decimal Revenue);

/// <summary>Reports of the tenant.</summary>
internal static class ReportEndpoints
{
    public static void MapReports(this WebApplication app) =>
        app.MapGroup("/reports")
            .OfTenant("Reports")
            .MapGet("/sales", SalesAsync)
            .WithSummary("Revenue per month, and the products that made most of it");

    private static async Task<Ok<SalesReport>> SalesAsync(
        ShopDbContext shop,
        CancellationToken ct,
        [Range(1, 100)] int top = 10
    )
    {
        // Plain SQL reaches the tenant's tables, too, and no others: names need no schema.
        var months = await shop
            .Database.SqlQuery<MonthlyRevenue>(
                $"""
                SELECT to_char(o."PlacedAt" AT TIME ZONE 'UTC', 'YYYY-MM') AS "Month",
                    count(DISTINCT o."Id")::int AS "Orders",
                    sum(l."Quantity" * l."UnitPrice") AS "Revenue"
                FROM "Orders" o JOIN "OrderLines" l ON l."OrderId" = o."Id"
                GROUP BY 1
                ORDER BY 1
                """
            )
            .ToListAsync(ct);
        var products = await shop
            .OrderLines.GroupBy(l => new { l.ProductId, l.Product!.Name })
            .Select(g => new
            {
                g.Key.ProductId,
                g.Key.Name,
                Quantity = g.Sum(l => l.Quantity),
                Revenue = Math.Round(g.Sum(l => l.Quantity * l.UnitPrice), 2),
            })
            .OrderByDescending(p => p.Revenue)
            .ThenBy(p => p.ProductId)
            .Take(top)
            .Select(p => new ProductRevenue(p.ProductId, p.Name, p.Quantity, p.Revenue))
            .ToListAsync(ct);
        return TypedResults.Ok(new SalesReport(months, products));
    }
}
