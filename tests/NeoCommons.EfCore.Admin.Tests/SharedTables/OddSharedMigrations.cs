using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

/// <summary>A tenant's context whose migration makes a table in the shared schema, for every tenant again.</summary>
public class TrespassingContext(DbContextOptions<TrespassingContext> options) : DbContext(options);

[DbContext(typeof(TrespassingContext)), Migration("20260101000000_Trespass")]
public sealed class Trespass : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.CreateTable("Regions", table => new { Id = table.Column<int>("integer") }, "shared");
}

/// <summary>A shared context whose second migration fails.</summary>
public class FailingSharedContext(DbContextOptions<FailingSharedContext> options) : DbContext(options);

[DbContext(typeof(FailingSharedContext)), Migration("20260101000000_Table")]
public sealed class FailingSharedTable : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE rates (n int)");
}

[DbContext(typeof(FailingSharedContext)), Migration("20260102000000_Fail")]
public sealed class FailingSharedStep : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("SELECT 1 / 0");
}

/// <summary>A shared context whose model names a tenant's schema.</summary>
public class PeekingSharedContext(DbContextOptions<PeekingSharedContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Country>().ToTable("Branches", "tenant_acme").HasKey(c => c.Code);
}

/// <summary>A shared context with a migration that cannot run in a transaction.</summary>
public class IndexedSharedContext(DbContextOptions<IndexedSharedContext> options) : DbContext(options);

[DbContext(typeof(IndexedSharedContext)), Migration("20260101000000_Table")]
public sealed class IndexedSharedTable : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE rates (n int)");
}

[DbContext(typeof(IndexedSharedContext)), Migration("20260102000000_Index")]
public sealed class IndexedSharedIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_rates ON rates (n)", suppressTransaction: true);
}
