using System.ComponentModel.DataAnnotations;

namespace WebSample.Endpoints;

/// <summary>An order to be placed.</summary>
public sealed record NewOrder(
    int CustomerId,
    [Required, MinLength(1), MaxLength(100)] IReadOnlyList<NewOrderLine> Lines
);

/// <summary>How much of a product is ordered.</summary>
public readonly record struct NewOrderLine(int ProductId, [Range(1, 1_000)] int Quantity);

/// <summary>An order in a list.</summary>
public sealed record OrderSummary(int Id, DateTimeOffset PlacedAt, string Customer, int Lines, decimal Total);

/// <summary>An order with its lines.</summary>
public sealed record OrderDetails(
    int Id,
    DateTimeOffset PlacedAt,
    int CustomerId,
    string Customer,
    IReadOnlyList<OrderedProduct> Lines,
    decimal Total
);

/// <summary>A line of an order.</summary>
public sealed record OrderedProduct(int ProductId, string Name, int Quantity, decimal UnitPrice);
