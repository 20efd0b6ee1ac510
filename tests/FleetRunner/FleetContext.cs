using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace FleetRunner;

/// <summary>
/// A context whose migrations count how often they ran, and of which some run outside of a transaction. There is no model,
/// so that no snapshot is needed.
/// </summary>
public class FleetContext(DbContextOptions<FleetContext> options) : DbContext(options);

[DbContext(typeof(FleetContext)), Migration("20260101000000_Create")]
public sealed class Create : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql(
            "CREATE TABLE counter (n int NOT NULL); INSERT INTO counter VALUES (1); CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL)"
        );
}

[DbContext(typeof(FleetContext)), Migration("20260102000000_Fill")]
public sealed class Fill : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("UPDATE counter SET n = n + 10");
        migrationBuilder.Sql("INSERT INTO orders SELECT i, i % 7 FROM generate_series(1, 500) i");
    }
}

[DbContext(typeof(FleetContext)), Migration("20260103000000_IndexConcurrently")]
public sealed class IndexConcurrently : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("UPDATE counter SET n = n + 100");
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_orders_total ON orders (total)", suppressTransaction: true);
        migrationBuilder.Sql("UPDATE counter SET n = n + 1000");
    }
}

[DbContext(typeof(FleetContext)), Migration("20260104000000_Customers")]
public sealed class Customers : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("UPDATE counter SET n = n + 10000");
        migrationBuilder.Sql(
            "CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); CREATE VIEW names AS SELECT name FROM customers"
        );
        migrationBuilder.Sql("ALTER TABLE orders ADD customer int REFERENCES customers (id)");
    }
}

[DbContext(typeof(FleetContext)), Migration("20260105000000_Unindex")]
public sealed class Unindex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("DROP INDEX CONCURRENTLY ix_orders_total", suppressTransaction: true);
        migrationBuilder.Sql(
            "CREATE UNIQUE INDEX CONCURRENTLY \"IX Orders\" ON orders (customer, id)",
            suppressTransaction: true
        );
        migrationBuilder.Sql("UPDATE counter SET n = n + 100000");
    }
}
