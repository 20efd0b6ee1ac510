using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>One way to have tenants, or none, with what it does for one of them.</summary>
internal abstract class Peer(string name)
{
    public const int Products = 100;

    public string Name { get; } = name;

    /// <summary>How many times fewer operations it is given, where one takes that much longer.</summary>
    public int Slowness { get; init; } = 1;

    public abstract Task ReadAsync(int tenant, int id);

    public abstract Task ListAsync(int tenant);

    public abstract Task InsertAsync(int tenant, int count);

    public abstract Task UpdateAsync(int tenant, int id);
}

/// <summary>A way that makes a context.</summary>
internal sealed class ContextPeer(string name, Func<int, ValueTask<ShopContext>> create) : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        _ = await shop.Set<Product>().AsNoTracking().FirstAsync(p => p.Id == id);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var shop = await create(tenant);
        _ = await shop.Set<Product>().AsNoTracking().OrderBy(p => p.Id).Take(50).ToListAsync();
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var shop = await create(tenant);
        for (var i = 0; i < count; i++)
        {
            shop.Add(new Product { Name = "new", Price = i });
        }

        await shop.SaveChangesAsync();
    }

    public override async Task UpdateAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        await using var transaction = await shop.Database.BeginTransactionAsync();
        var product = await shop.Set<Product>().FirstAsync(p => p.Id == id);
        product.Price++;
        await shop.SaveChangesAsync();
        _ = await shop.Set<Product>().AsNoTracking().CountAsync(p => p.Id <= id);
        await transaction.CommitAsync();
    }
}

/// <summary>A table that all tenants share.</summary>
internal sealed class FilteredPeer(string name, Func<int, FilteredContext> create) : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var shop = create(tenant);
        _ = await shop.Set<SharedProduct>().AsNoTracking().FirstAsync(p => p.Id == (tenant * Products) + id);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var shop = create(tenant);
        _ = await shop.Set<SharedProduct>().AsNoTracking().OrderBy(p => p.Id).Take(50).ToListAsync();
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var shop = create(tenant);
        for (var i = 0; i < count; i++)
        {
            shop.Add(
                new SharedProduct
                {
                    Tenant = tenant,
                    Name = "new",
                    Price = i,
                }
            );
        }

        await shop.SaveChangesAsync();
    }

    public override async Task UpdateAsync(int tenant, int id)
    {
        await using var shop = create(tenant);
        await using var transaction = await shop.Database.BeginTransactionAsync();
        var key = (tenant * Products) + id;
        var product = await shop.Set<SharedProduct>().FirstAsync(p => p.Id == key);
        product.Price++;
        await shop.SaveChangesAsync();
        _ = await shop.Set<SharedProduct>().AsNoTracking().CountAsync(p => p.Id <= key);
        await transaction.CommitAsync();
    }
}

/// <summary>The driver alone.</summary>
internal sealed class NpgsqlPeer(string name, NpgsqlDataSource source) : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = Command(
            connection,
            null,
            "SELECT id, name, price FROM products WHERE id = $1 LIMIT 1",
            id
        );
        await ReadAllAsync(command);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = Command(
            connection,
            null,
            "SELECT id, name, price FROM products ORDER BY id LIMIT $1",
            50
        );
        await ReadAllAsync(command);
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        for (var i = 0; i < count; i++)
        {
            batch.BatchCommands.Add(
                new("INSERT INTO products (name, price) VALUES ($1, $2) RETURNING id")
                {
                    Parameters =
                    {
                        new() { Value = "new" },
                        new() { Value = (decimal)i },
                    },
                }
            );
        }

        await using var reader = await batch.ExecuteReaderAsync();
        do
        {
            while (await reader.ReadAsync())
            {
                _ = reader.GetInt32(0);
            }
        } while (await reader.NextResultAsync());
    }

    public override async Task UpdateAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var read = Command(
            connection,
            transaction,
            "SELECT id, name, price FROM products WHERE id = $1",
            id
        );
        await ReadAllAsync(read);
        await using var write = Command(
            connection,
            transaction,
            "UPDATE products SET price = price + 1 WHERE id = $1",
            id
        );
        await write.ExecuteNonQueryAsync();
        await using var count = Command(connection, transaction, "SELECT count(*) FROM products WHERE id <= $1", id);
        await count.ExecuteScalarAsync();
        await transaction.CommitAsync();
    }

    private static NpgsqlCommand Command(
        NpgsqlConnection connection,
        NpgsqlTransaction? transaction,
        string sql,
        int id
    ) => new(sql, connection, transaction) { Parameters = { new() { Value = id } } };

    private static async Task ReadAllAsync(NpgsqlCommand command)
    {
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            _ = new Product
            {
                Id = reader.GetInt32(0),
                Name = reader.GetString(1),
                Price = reader.GetDecimal(2),
            };
        }
    }
}
