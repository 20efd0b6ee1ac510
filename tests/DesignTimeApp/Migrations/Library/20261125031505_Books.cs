using Microsoft.EntityFrameworkCore.Migrations;

namespace DesignTimeApp.Migrations.Library;

/// <inheritdoc />
public partial class BooksCreated : Migration
{
    /// <inheritdoc />
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateSequence(name: "BookNumbers");

        migrationBuilder.CreateTable(
            name: "Books",
            columns: table => new
            {
                Id = table.Column<long>(type: "bigint", nullable: false, defaultValueSql: "nextval('\"BookNumbers\"')"),
                Title = table.Column<string>(type: "text", nullable: false),
                LanguageId = table.Column<int>(type: "integer", nullable: true),
            },
            constraints: table =>
            {
                table.PrimaryKey("PK_Books", x => x.Id);
                table.ForeignKey(
                    name: "FK_Books_Languages_LanguageId",
                    column: x => x.LanguageId,
                    principalSchema: "shared",
                    principalTable: "Languages",
                    principalColumn: "Id"
                );
            }
        );

        migrationBuilder.CreateIndex(name: "IX_Books_LanguageId", table: "Books", column: "LanguageId");
    }

    /// <inheritdoc />
    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable(name: "Books");

        migrationBuilder.DropSequence(name: "BookNumbers");
    }
}
