using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

/// <summary>Reference data that all tenants of a database share.</summary>
public class CountriesContext(DbContextOptions<CountriesContext> options) : DbContext(options)
{
    public const string First = "20260101000000_Countries";
    public const string Second = "20260102000000_Seed";

    public DbSet<Country> Countries => Set<Country>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.Entity<Country>().HasKey(c => c.Code);
}

public class Country
{
    public required string Code { get; set; }
    public required string Name { get; set; }
}

[DbContext(typeof(CountriesContext)), Migration(CountriesContext.First)]
public sealed class CreateCountries : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.EnsureSchema("shared");
        migrationBuilder.CreateTable(
            "Countries",
            table => new { Code = table.Column<string>("text"), Name = table.Column<string>("text") },
            "shared",
            table => table.PrimaryKey("PK_Countries", c => c.Code)
        );
    }
}

/// <summary>SQL that names no schema: the path of a shared migration leads to the shared one.</summary>
[DbContext(typeof(CountriesContext)), Migration(CountriesContext.Second)]
public sealed class SeedCountries : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("INSERT INTO \"Countries\" VALUES ('AT', 'Austria'), ('CH', 'Switzerland')");
}

[DbContext(typeof(CountriesContext))]
public sealed class CountriesSnapshot : ModelSnapshot
{
    protected override void BuildModel(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("shared");
        modelBuilder.Entity(
            typeof(Country).FullName!,
            b =>
            {
                b.Property<string>("Code").HasColumnType("text");
                b.Property<string>("Name").IsRequired().HasColumnType("text");
                b.HasKey("Code");
                b.ToTable("Countries", "shared");
            }
        );
    }
}
