using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>Ten migrations of two tables each. There is no model, so that no snapshot is needed.</summary>
public class FleetContext(DbContextOptions<FleetContext> options) : DbContext(options);

public abstract class TwoTables(int number) : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var table in new[] { $"table_{number}_a", $"table_{number}_b" })
        {
            migrationBuilder.CreateTable(
                table,
                t => new
                {
                    Id = t.Column<long>(),
                    Name = t.Column<string>(type: "text"),
                    Note = t.Column<string>(type: "text", nullable: true),
                    Price = t.Column<decimal>(type: "numeric(12,2)"),
                    At = t.Column<DateTime>(type: "timestamp with time zone", defaultValueSql: "now()"),
                    Parent = t.Column<long>(nullable: true),
                },
                constraints: t =>
                {
                    t.PrimaryKey("pk_" + table, x => x.Id);
                    t.ForeignKey("fk_" + table, x => x.Parent, table, "Id");
                }
            );
            migrationBuilder.CreateIndex("ix_" + table, table, "Name");
        }
    }
}

[DbContext(typeof(FleetContext)), Migration("20260101000000_M01")]
public sealed class M01() : TwoTables(1);

[DbContext(typeof(FleetContext)), Migration("20260102000000_M02")]
public sealed class M02() : TwoTables(2);

[DbContext(typeof(FleetContext)), Migration("20260103000000_M03")]
public sealed class M03() : TwoTables(3);

[DbContext(typeof(FleetContext)), Migration("20260104000000_M04")]
public sealed class M04() : TwoTables(4);

[DbContext(typeof(FleetContext)), Migration("20260105000000_M05")]
public sealed class M05() : TwoTables(5);

[DbContext(typeof(FleetContext)), Migration("20260106000000_M06")]
public sealed class M06() : TwoTables(6);

[DbContext(typeof(FleetContext)), Migration("20260107000000_M07")]
public sealed class M07() : TwoTables(7);

[DbContext(typeof(FleetContext)), Migration("20260108000000_M08")]
public sealed class M08() : TwoTables(8);

[DbContext(typeof(FleetContext)), Migration("20260109000000_M09")]
public sealed class M09() : TwoTables(9);

[DbContext(typeof(FleetContext)), Migration("20260110000000_M10")]
public sealed class M10() : TwoTables(10);
