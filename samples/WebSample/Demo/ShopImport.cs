using Microsoft.Extensions.Options;
using NeoCommons.EfCore;
using Npgsql;
using NpgsqlTypes;

namespace WebSample.Demo;

/// <summary>Fills a shop with COPY, on a raw connection that is bound to the tenant just as a context's is.</summary>
internal sealed class ShopImport(IDatabaseConnections connections, IOptions<DemoVolume> volume)
{
    public async Task FillIfEmptyAsync(Tenant tenant, CancellationToken ct)
    {
        await using var connection = await connections.OpenTenantConnectionAsync(tenant.Id, ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using var count = new NpgsqlCommand("SELECT EXISTS (SELECT FROM \"Products\")", connection);
        if (await count.ExecuteScalarAsync(ct) is true)
        {
            return;
        }

        var shop = new DemoShop(tenant.Slug, volume.Value);
        await CopyAsync(
            connection,
            """ "Products" ("Id", "Sku", "Name", "Category", "Price", "Stock") """,
            shop.Products.Select(p => new object[] { p.Id, p.Sku, p.Name, p.Category, p.Price, p.Stock }),
            ct
        );
        await CopyAsync(
            connection,
            """ "Customers" ("Id", "Name", "Email", "City", "Country") """,
            shop.Customers.Select(c => new object[] { c.Id, c.Name, c.Email, c.City, c.Country }),
            ct
        );
        await CopyAsync(
            connection,
            """ "Orders" ("Id", "CustomerId", "PlacedAt") """,
            shop.Orders.Select(o => new object[] { o.Id, o.CustomerId, o.PlacedAt }),
            ct
        );
        await CopyAsync(
            connection,
            """ "OrderLines" ("OrderId", "ProductId", "Quantity", "UnitPrice") """,
            shop.Orders.SelectMany(o => o.Lines)
                .Select(l => new object[] { l.OrderId, l.ProductId, l.Quantity, l.UnitPrice }),
            ct
        );
        await ContinueIdsAsync(connection, ct);
        await transaction.CommitAsync(ct);
    }

    private static async Task CopyAsync(
        NpgsqlConnection connection,
        string table,
        IEnumerable<object[]> rows,
        CancellationToken ct
    )
    {
        await using var copy = await connection.BeginBinaryImportAsync($"COPY {table} FROM STDIN (FORMAT BINARY)", ct);
        foreach (var row in rows)
        {
            await copy.StartRowAsync(ct);
            foreach (var value in row)
            {
                await copy.WriteAsync(value, TypeOf(value), ct);
            }
        }

        await copy.CompleteAsync(ct);
    }

    private static NpgsqlDbType TypeOf(object value) =>
        value switch
        {
            int => NpgsqlDbType.Integer,
            decimal => NpgsqlDbType.Numeric,
            DateTimeOffset => NpgsqlDbType.TimestampTz,
            _ => NpgsqlDbType.Varchar,
        };

    /// <summary>The rows brought their ids along: the next ones come after them. And the planner learns of them.</summary>
    private static async Task ContinueIdsAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        foreach (var table in new[] { "Products", "Customers", "Orders" })
        {
            await using var command = new NpgsqlCommand(
                $"""
                SELECT setval(pg_get_serial_sequence('"{table}"', 'Id'), max("Id")) FROM "{table}";
                ANALYZE "{table}";
                """,
                connection
            );
            await command.ExecuteNonQueryAsync(ct);
        }
    }
}
