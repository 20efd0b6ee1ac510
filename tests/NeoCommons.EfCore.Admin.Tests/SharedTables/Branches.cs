using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin.Tests.SharedTables;

/// <summary>A tenant's own table, with a foreign key to a shared one.</summary>
public class BranchesContext(DbContextOptions<BranchesContext> options) : DbContext(options)
{
    public const string First = "20260301000000_Branches";

    public DbSet<Branch> Branches => Set<Branch>();

    public DbSet<Country> Countries => Set<Country>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<Country>().IsShared().HasKey(c => c.Code);
        modelBuilder.Entity<Branch>().HasOne(b => b.Country).WithMany().HasForeignKey(b => b.CountryCode);
    }
}

public class Branch
{
    public Guid Id { get; set; }
    public required string City { get; set; }
    public required string CountryCode { get; set; }
    public Country? Country { get; set; }
}

[DbContext(typeof(BranchesContext)), Migration(BranchesContext.First)]
public sealed class CreateBranches : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable(
            "Branches",
            table => new
            {
                Id = table.Column<Guid>("uuid"),
                City = table.Column<string>("text"),
                CountryCode = table.Column<string>("text"),
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Branches", b => b.Id);
                table.ForeignKey(
                    "FK_Branches_Countries_CountryCode",
                    b => b.CountryCode,
                    principalSchema: "shared",
                    principalTable: "Countries",
                    principalColumn: "Code",
                    onDelete: ReferentialAction.Cascade
                );
            }
        );
        migrationBuilder.CreateIndex("IX_Branches_CountryCode", "Branches", "CountryCode");
    }
}

[DbContext(typeof(BranchesContext))]
public sealed class BranchesSnapshot : ModelSnapshot
{
    protected override void BuildModel(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity(
            typeof(Branch).FullName!,
            b =>
            {
                b.Property<Guid>("Id").ValueGeneratedOnAdd().HasColumnType("uuid");
                b.Property<string>("City").IsRequired().HasColumnType("text");
                b.Property<string>("CountryCode").IsRequired().HasColumnType("text");
                b.HasKey("Id");
                b.HasIndex("CountryCode");
                b.ToTable("Branches");
                b.HasOne(typeof(Country).FullName!, "Country")
                    .WithMany()
                    .HasForeignKey("CountryCode")
                    .OnDelete(DeleteBehavior.Cascade)
                    .IsRequired();
            }
        );
        modelBuilder.Entity(
            typeof(Country).FullName!,
            b =>
            {
                b.Property<string>("Code").HasColumnType("text");
                b.Property<string>("Name").IsRequired().HasColumnType("text");
                b.HasKey("Code");
                b.ToTable("Countries", "shared", t => t.ExcludeFromMigrations());
            }
        );
    }
}
