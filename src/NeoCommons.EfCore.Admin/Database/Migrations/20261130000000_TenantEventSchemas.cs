using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class TenantEventSchemas : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // Each creation asks whether its schema's name has been another tenant's.
            migrationBuilder.Sql(
                """
                CREATE INDEX ix_tenant_events_schema ON admin.tenant_events ((details->>'schema'))
                    WHERE details->>'schema' IS NOT NULL;
                CREATE INDEX ix_tenant_events_former_schema ON admin.tenant_events ((details->>'formerSchema'))
                    WHERE details->>'formerSchema' IS NOT NULL;
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("DROP INDEX admin.ix_tenant_events_schema, admin.ix_tenant_events_former_schema;");
        }
    }
}
