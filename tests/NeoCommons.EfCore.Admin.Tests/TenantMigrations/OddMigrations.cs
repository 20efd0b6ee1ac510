using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

public class NotesContext(DbContextOptions<NotesContext> options) : DbContext(options);

[DbContext(typeof(NotesContext)), Migration("20260101000000_Notes")]
public sealed class CreateNotes : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE notes (n int)");
}

/// <summary>Has the id of a migration of <see cref="NotesContext"/>, in the history that both have by default.</summary>
public class TwinContext(DbContextOptions<TwinContext> options) : DbContext(options);

[DbContext(typeof(TwinContext)), Migration("20260101000000_Notes")]
public sealed class CreateTwin : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE twin (n int)");
}

public class TagsContext(DbContextOptions<TagsContext> options) : DbContext(options);

[DbContext(typeof(TagsContext)), Migration("20260102000000_Tags")]
public sealed class CreateTags : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("CREATE TABLE tags (n int)");
}

public class SlowIndexContext(DbContextOptions<SlowIndexContext> options) : DbContext(options);

[DbContext(typeof(SlowIndexContext)), Migration("20260101000000_Table")]
public sealed class CreateSlow : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE slow (n int); SELECT pg_sleep(1)");
}

[DbContext(typeof(SlowIndexContext)), Migration("20260102000000_Index")]
public sealed class IndexSlow : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_slow ON slow (n)", suppressTransaction: true);
}

public class WanderingContext(DbContextOptions<WanderingContext> options) : DbContext(options);

[DbContext(typeof(WanderingContext)), Migration("20260101000000_Dump")]
public sealed class PastedDump : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("SET search_path = public");
}

[DbContext(typeof(WanderingContext)), Migration("20260102000000_Wanderer")]
public sealed class CreateWanderer : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE wanderer (n int)");
}

public class NamingContext(DbContextOptions<NamingContext> options) : DbContext(options);

[DbContext(typeof(NamingContext)), Migration("20260101000000_Leak")]
public sealed class CreateLeak : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.CreateTable("leak", t => new { Id = t.Column<int>() }, schema: "public");
}

public class FailingContext(DbContextOptions<FailingContext> options) : DbContext(options);

[DbContext(typeof(FailingContext)), Migration("20260103000000_Fail")]
public sealed class FailAlways : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("SELECT 1/0");
}

public class ExtensionContext(DbContextOptions<ExtensionContext> options) : DbContext(options);

[DbContext(typeof(ExtensionContext)), Migration("20260101000000_Citext")]
public sealed class CreateCitext : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AlterDatabase().Annotation("Npgsql:PostgresExtension:citext", ",,");
        migrationBuilder.CreateTable("folk", t => new { name = t.Column<string>("citext") });
    }
}

public class LateTypeContext(DbContextOptions<LateTypeContext> options) : DbContext(options);

[DbContext(typeof(LateTypeContext)), Migration("20260101000000_Late")]
public sealed class CreateLate : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql(
            "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE late (c public.citext); INSERT INTO late VALUES ('x')"
        );
}

/// <summary>Begins with a statement that no transaction may hold.</summary>
public class AddedIndexContext(DbContextOptions<AddedIndexContext> options) : DbContext(options);

[DbContext(typeof(AddedIndexContext)), Migration("20260101000000_Index")]
public sealed class AddIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE INDEX CONCURRENTLY ix_things_n ON things (n)", suppressTransaction: true);
}

/// <summary>The same index, in the words of somebody who explains what he does.</summary>
public class ExplainedIndexContext(DbContextOptions<ExplainedIndexContext> options) : DbContext(options);

[DbContext(typeof(ExplainedIndexContext)), Migration("20260101000000_Table")]
public sealed class CreateExplained : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("CREATE TABLE things (n int); INSERT INTO things VALUES (1)");
}

[DbContext(typeof(ExplainedIndexContext)), Migration("20260102000000_Index")]
public sealed class IndexExplained : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql(
            "-- things are looked up by n\n/* at night */ CREATE INDEX /* nobody waits */ CONCURRENTLY IF NOT EXISTS ix_things_n ON things (n)",
            suppressTransaction: true
        );
}

public class NamelessIndexContext(DbContextOptions<NamelessIndexContext> options) : DbContext(options);

[DbContext(typeof(NamelessIndexContext)), Migration("20260101000000_Nameless")]
public sealed class AddNamelessIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql("CREATE TABLE things (n int)");
        migrationBuilder.Sql("-- no name\nCREATE INDEX CONCURRENTLY ON things (n)", suppressTransaction: true);
    }
}
