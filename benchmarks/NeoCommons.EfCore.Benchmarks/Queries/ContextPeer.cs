using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A way that makes a context, whose products are of one type.</summary>
internal abstract class ContextPeer<TProduct>(string name, Func<int, ValueTask<DbContext>> create) : Peer(name)
    where TProduct : Product, new()
{
    /// <summary>The key of a tenant's product.</summary>
    protected abstract int KeyOf(int tenant, int id);

    /// <summary>A product of a tenant that is not stored yet.</summary>
    protected abstract TProduct NewOf(int tenant);

    /// <summary>Which model the tenant's context has.</summary>
    public async Task<IModel> ModelOfAsync(int tenant)
    {
        await using var shop = await create(tenant);
        return shop.Model;
    }

    public override async Task ReadAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        var key = KeyOf(tenant, id);
        _ = await shop.Set<TProduct>().AsNoTracking().FirstAsync(p => p.Id == key);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var shop = await create(tenant);
        _ = await shop.Set<TProduct>().AsNoTracking().OrderBy(p => p.Id).Take(50).ToListAsync();
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var shop = await create(tenant);
        for (var i = 0; i < count; i++)
        {
            var product = NewOf(tenant);
            (product.Name, product.Price) = ("new", i);
            shop.Add(product);
        }

        await shop.SaveChangesAsync();
    }

    public override async Task UpdateAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        await using var transaction = await shop.Database.BeginTransactionAsync();
        var key = KeyOf(tenant, id);
        var product = await shop.Set<TProduct>().FirstAsync(p => p.Id == key);
        product.Price++;
        await shop.SaveChangesAsync();
        _ = await shop.Set<TProduct>().AsNoTracking().CountAsync(p => p.Id <= key);
        await transaction.CommitAsync();
    }

    public override async Task RequestAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        var key = KeyOf(tenant, id);
        var product = await shop.Set<TProduct>().FirstAsync(p => p.Id == key);
        _ = await shop.Set<TProduct>().AsNoTracking().Where(p => p.Id > key).OrderBy(p => p.Id).Take(20).ToListAsync();
        product.Price++;
        await shop.SaveChangesAsync();
    }

    public override async Task<long> CountPreparedAsync()
    {
        await using var shop = await create(0);
        return (await shop.Database.SqlQueryRaw<long>(Prepared).ToListAsync())[0];
    }
}

/// <summary>A table for each tenant, or for none.</summary>
internal sealed class ContextPeer(string name, Func<int, ValueTask<DbContext>> create)
    : ContextPeer<Product>(name, create)
{
    protected override int KeyOf(int tenant, int id) => id;

    protected override Product NewOf(int tenant) => new();
}

/// <summary>A table that all tenants share.</summary>
internal sealed class FilteredPeer(string name, Func<int, ValueTask<DbContext>> create)
    : ContextPeer<SharedProduct>(name, create)
{
    protected override int KeyOf(int tenant, int id) => (tenant * ShopDatabase.Products) + id;

    protected override SharedProduct NewOf(int tenant) => new() { Tenant = tenant };
}
