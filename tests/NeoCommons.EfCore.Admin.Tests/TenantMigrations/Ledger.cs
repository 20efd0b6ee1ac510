using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>
/// A context whose migrations count how often they ran, and fail in schemas whose name says so: there is no model, so
/// that no snapshot is needed.
/// </summary>
public class LedgerContext(DbContextOptions<LedgerContext> options) : DbContext(options)
{
    public const string First = "20260101000000_Create";
    public const string Second = "20260102000000_Count";
    public const string Third = "20260103000000_FailInBadSchemas";
}

[DbContext(typeof(LedgerContext)), Migration(LedgerContext.First)]
public class CreateLedger : Migration
{
    /// <summary>Each of these tenants has had each migration once.</summary>
    internal static async Task AssertOnceAsync(TestApp app, int tenants)
    {
        for (var i = 1; i <= tenants; i++)
        {
            Assert.Equal(101, await app.DirectAsync("db1", $"SELECT n FROM tenant_t{i:0000}.runs"));
        }
    }

    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE runs (n int NOT NULL); INSERT INTO runs VALUES (0)");
}

[DbContext(typeof(LedgerContext)), Migration(LedgerContext.Second)]
public class CountLedger : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("UPDATE runs SET n = n + 1; SELECT pg_sleep(0.02)");
}

[DbContext(typeof(LedgerContext)), Migration(LedgerContext.Third)]
public sealed class FailInBadSchemas : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("UPDATE runs SET n = n + 100");
        migrationBuilder.Sql(
            "DO $$ BEGIN IF current_schema() LIKE '%bad-one' THEN RAISE EXCEPTION 'this schema is bad'; END IF; END $$"
        );
    }
}

/// <summary>The version of the application before the last migration.</summary>
public class OldLedgerContext(DbContextOptions<OldLedgerContext> options) : DbContext(options);

[DbContext(typeof(OldLedgerContext)), Migration(LedgerContext.First)]
public sealed class OldCreateLedger : CreateLedger;

[DbContext(typeof(OldLedgerContext)), Migration(LedgerContext.Second)]
public sealed class OldCountLedger : CountLedger;

/// <summary>A context with a migration that cannot run in a transaction.</summary>
public class IndexedContext(DbContextOptions<IndexedContext> options) : DbContext(options);

[DbContext(typeof(IndexedContext)), Migration("20260101000000_Table")]
public sealed class CreateIndexedTable : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE things (n int)");
}

[DbContext(typeof(IndexedContext)), Migration("20260102000000_Index")]
public sealed class IndexConcurrently : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("INSERT INTO things VALUES (1)");
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_things_n ON things (n)", suppressTransaction: true);
        migrationBuilder.Sql(
            "DO $$ BEGIN IF current_schema() LIKE '%bad-one' THEN RAISE EXCEPTION 'this schema is bad'; END IF; END $$"
        );
    }
}

/// <summary>A context whose model has a table that no migration creates.</summary>
public class ForgottenContext(DbContextOptions<ForgottenContext> options) : DbContext(options)
{
    public DbSet<Forgotten> Forgotten => Set<Forgotten>();
}

public class Forgotten
{
    public int Id { get; set; }
}

/// <summary>A context whose last migrations it can do without.</summary>
public class TolerantContext(DbContextOptions<TolerantContext> options) : DbContext(options)
{
    public const string Needed = "20260102000000_Needed";
}

[DbContext(typeof(TolerantContext)), Migration("20260101000000_Old"), BackwardCompatibleMigration]
public sealed class OldButTolerated : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE old (n int)");
}

[DbContext(typeof(TolerantContext)), Migration(TolerantContext.Needed)]
public sealed class Needed : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE needed (n int)");
}

[DbContext(typeof(TolerantContext)), Migration("20260103000000_Later"), BackwardCompatibleMigration]
public sealed class Later : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE later (n int)");
}
