using System.ComponentModel.DataAnnotations;
using Microsoft.EntityFrameworkCore;

namespace WebSample.Shop;

public class Product
{
    public int Id { get; set; }

    [MaxLength(20)]
    public required string Sku { get; set; }

    [MaxLength(200)]
    public required string Name { get; set; }

    [MaxLength(100)]
    public required string Category { get; set; }

    [Precision(10, 2)]
    public decimal Price { get; set; }

    public int Stock { get; set; }
}
