using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Seeds one product, and then does what the test wants.</summary>
internal sealed class ShopSeeder(ShopSeeder.Script script) : ITenantSeeder
{
    public async Task SeedAsync(TenantSeeding seeding, CancellationToken ct = default)
    {
        script.Calls++;
        Assert.Equal(TenantStatus.Provisioning, seeding.Tenant.Status);
        await using (var shop = await seeding.CreateDbContextAsync<ShopDbContext>(ct))
        {
            if (!await shop.Products.AnyAsync(ct))
            {
                shop.Products.Add(
                    new Product
                    {
                        Sku = "seed",
                        Name = seeding.Tenant.Slug,
                        Price = 1,
                    }
                );
                await shop.SaveChangesAsync(ct);
            }
        }

        await script.Then();
    }

    public sealed class Script
    {
        public int Calls { get; set; }
        public Func<Task> Then { get; set; } = () => Task.CompletedTask;
    }
}
