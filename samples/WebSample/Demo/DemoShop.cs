using Bogus;
using WebSample.Shop;

namespace WebSample.Demo;

/// <summary>The made-up data of one shop: always the same for a slug, and different between slugs.</summary>
internal sealed class DemoShop
{
    // Never the clock: two runs make the same shop.
    private static readonly DateTimeOffset LastDay = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);
    private const int Days = 730;

    private readonly Faker _faker;

    public DemoShop(string slug, DemoVolume volume)
    {
        // GetHashCode differs from run to run.
        var seed = slug.Aggregate(17, (hash, letter) => unchecked((hash * 31) + letter));
        _faker = new Faker { Random = new Randomizer(seed) };
        Products = [.. Enumerable.Range(1, volume.Products).Select(NewProduct)];
        Customers = [.. Enumerable.Range(1, volume.Customers).Select(NewCustomer)];
        Orders = [.. NewDates(volume.Orders).Select((placedAt, index) => NewOrder(index + 1, placedAt))];
    }

    public IReadOnlyList<Product> Products { get; }

    public IReadOnlyList<Customer> Customers { get; }

    public IReadOnlyList<Order> Orders { get; }

    private Product NewProduct(int id) =>
        new()
        {
            Id = id,
            Sku = $"SKU-{id:00000}",
            Name = _faker.Commerce.ProductName(),
            Category = _faker.Commerce.Categories(1)[0],
            // From 5 to 500, most of them cheap.
            Price = Math.Floor((decimal)(5 * Math.Pow(100, _faker.Random.Double()))) + 0.95m,
            Stock = _faker.Random.Int(50, 500),
        };

    private Customer NewCustomer(int id)
    {
        var (first, last) = (_faker.Name.FirstName(), _faker.Name.LastName());
        return new()
        {
            Id = id,
            Name = $"{first} {last}",
            Email = $"{first}.{last}.{id}@example.com".Replace("'", "", StringComparison.Ordinal).ToLowerInvariant(),
            City = _faker.Address.City(),
            Country = _faker.Address.Country(),
        };
    }

    /// <summary>A shop that grows: later days have more orders; ids follow dates.</summary>
    private IEnumerable<DateTimeOffset> NewDates(int count) =>
        Enumerable
            .Range(0, count)
            .Select(_ => LastDay.AddSeconds(-Math.Floor(Days * 86_400 * (1 - Math.Sqrt(_faker.Random.Double())))))
            .Order();

    private Order NewOrder(int id, DateTimeOffset placedAt) =>
        new()
        {
            Id = id,
            CustomerId = _faker.Random.Int(1, Customers.Count),
            PlacedAt = placedAt,
            Lines =
            [
                .. Enumerable.Range(0, _faker.Random.Int(1, 5)).Select(_ => NewLine(id)).DistinctBy(l => l.ProductId),
            ],
        };

    private OrderLine NewLine(int order)
    {
        // A few products sell far better than the others.
        var product = Products[(int)(Products.Count * Math.Pow(_faker.Random.Double(), 2))];
        return new()
        {
            OrderId = order,
            ProductId = product.Id,
            Quantity = _faker.Random.Int(1, 4),
            UnitPrice = product.Price,
        };
    }
}
