using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>One way to have tenants, or none, with what it does for one of them.</summary>
internal abstract class Peer(string name)
{
    public string Name { get; } = name;

    /// <summary>How many times fewer operations it is given, where one takes that much longer.</summary>
    public int Slowness { get; init; } = 1;

    /// <summary>How many of the tenants it serves, where it needs connections for each of them.</summary>
    public int MostTenants { get; init; } = int.MaxValue;

    public abstract Task ReadAsync(int tenant, int id);

    public abstract Task ListAsync(int tenant);

    public abstract Task InsertAsync(int tenant, int count);

    public abstract Task UpdateAsync(int tenant, int id);

    /// <summary>As a request does it: reads one, reads a page, changes the one and saves.</summary>
    public abstract Task RequestAsync(int tenant, int id);
}

/// <summary>A way that makes a context.</summary>
internal sealed class ContextPeer(string name, Func<int, ValueTask<ShopContext>> create) : Peer(name)
{
    /// <summary>Which model the tenant's context has.</summary>
    public async Task<IModel> ModelOfAsync(int tenant)
    {
        await using var shop = await create(tenant);
        return shop.Model;
    }

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

    public override async Task RequestAsync(int tenant, int id)
    {
        await using var shop = await create(tenant);
        var product = await shop.Set<Product>().FirstAsync(p => p.Id == id);
        _ = await shop.Set<Product>().AsNoTracking().Where(p => p.Id > id).OrderBy(p => p.Id).Take(20).ToListAsync();
        product.Price++;
        await shop.SaveChangesAsync();
    }
}

/// <summary>A table that all tenants share.</summary>
internal sealed class FilteredPeer(string name, Func<int, FilteredContext> create) : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var shop = create(tenant);
        _ = await shop.Set<SharedProduct>()
            .AsNoTracking()
            .FirstAsync(p => p.Id == (tenant * ShopDatabase.Products) + id);
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
        var key = (tenant * ShopDatabase.Products) + id;
        var product = await shop.Set<SharedProduct>().FirstAsync(p => p.Id == key);
        product.Price++;
        await shop.SaveChangesAsync();
        _ = await shop.Set<SharedProduct>().AsNoTracking().CountAsync(p => p.Id <= key);
        await transaction.CommitAsync();
    }

    public override async Task RequestAsync(int tenant, int id)
    {
        await using var shop = create(tenant);
        var key = (tenant * ShopDatabase.Products) + id;
        var product = await shop.Set<SharedProduct>().FirstAsync(p => p.Id == key);
        _ = await shop.Set<SharedProduct>()
            .AsNoTracking()
            .Where(p => p.Id > key)
            .OrderBy(p => p.Id)
            .Take(20)
            .ToListAsync();
        product.Price++;
        await shop.SaveChangesAsync();
    }
}

/// <summary>The driver alone.</summary>
internal sealed class NpgsqlPeer(string name, NpgsqlDataSource source, Func<int, string> tableOf) : Peer(name)
{
    public override async Task ReadAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {tableOf(tenant)} WHERE id = $1 LIMIT 1", id);
    }

    public override async Task ListAsync(int tenant)
    {
        await using var connection = await source.OpenConnectionAsync();
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {tableOf(tenant)} ORDER BY id LIMIT $1", 50);
    }

    public override async Task InsertAsync(int tenant, int count)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        for (var i = 0; i < count; i++)
        {
            batch.BatchCommands.Add(
                new($"INSERT INTO {tableOf(tenant)} (name, price) VALUES ($1, $2) RETURNING id")
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
        var table = tableOf(tenant);
        await ReadAsync(connection, transaction, $"SELECT id, name, price FROM {table} WHERE id = $1", id);
        await WriteAsync(connection, transaction, table, id);
        await using var count = Command(connection, transaction, $"SELECT count(*) FROM {table} WHERE id <= $1", id);
        await count.ExecuteScalarAsync();
        await transaction.CommitAsync();
    }

    public override async Task RequestAsync(int tenant, int id)
    {
        await using var connection = await source.OpenConnectionAsync();
        var table = tableOf(tenant);
        await ReadAsync(connection, null, $"SELECT id, name, price FROM {table} WHERE id = $1", id);
        await ReadAsync(
            connection,
            null,
            $"SELECT id, name, price FROM {table} WHERE id > $1 ORDER BY id LIMIT 20",
            id
        );
        await WriteAsync(connection, null, table, id);
    }

    private static async Task WriteAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction? transaction,
        string table,
        int id
    )
    {
        await using var write = Command(
            connection,
            transaction,
            $"UPDATE {table} SET price = price + 1 WHERE id = $1",
            id
        );
        await write.ExecuteNonQueryAsync();
    }

    private static async Task ReadAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction? transaction,
        string sql,
        int parameter
    )
    {
        await using var command = Command(connection, transaction, sql, parameter);
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

    private static NpgsqlCommand Command(
        NpgsqlConnection connection,
        NpgsqlTransaction? transaction,
        string sql,
        int parameter
    ) => new(sql, connection, transaction) { Parameters = { new() { Value = parameter } } };
}
