using System.ComponentModel.DataAnnotations;

namespace WebSample.Shop;

public class Customer
{
    public int Id { get; set; }

    [MaxLength(200)]
    public required string Name { get; set; }

    [MaxLength(200)]
    public required string Email { get; set; }

    [MaxLength(100)]
    public required string City { get; set; }

    [MaxLength(100)]
    public required string Country { get; set; }
}
