using Microsoft.EntityFrameworkCore;

namespace WebSample.Shop;

[PrimaryKey(nameof(OrderId), nameof(ProductId))]
public class OrderLine
{
    public int OrderId { get; set; }

    public Order? Order { get; set; }

    public int ProductId { get; set; }

    public Product? Product { get; set; }

    public int Quantity { get; set; }

    /// <summary>The price when it was ordered.</summary>
    [Precision(10, 2)]
    public decimal UnitPrice { get; set; }
}
