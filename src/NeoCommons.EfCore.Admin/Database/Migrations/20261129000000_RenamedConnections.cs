using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class RenamedConnections : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // A tenant is cached with the name of its connection, which may be another connection's by now.
            migrationBuilder.Sql(
                """
                CREATE TRIGGER notify_registry_renamed AFTER UPDATE OF connection_name ON admin.database_connections
                    FOR EACH ROW WHEN (OLD.connection_name IS DISTINCT FROM NEW.connection_name)
                    EXECUTE FUNCTION admin.notify_tenants();
                ALTER TABLE admin.database_connections ENABLE ALWAYS TRIGGER notify_registry_renamed;
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP TRIGGER notify_registry_renamed ON admin.database_connections;");
        }
    }
}
