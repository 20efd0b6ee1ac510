using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class TenantLimits : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // Rows that are there already are not checked: what stood in the column was nobody's business. A bad value makes its own tenant
            // unreadable, and whatever is written from now on is checked.
            migrationBuilder.Sql(
                "ALTER TABLE admin.tenants ADD CONSTRAINT ck_tenants_limits_commands_per_second CHECK (CASE coalesce(jsonb_typeof(limits->'commands_per_second'), 'null') WHEN 'null' THEN true WHEN 'number' THEN (limits->>'commands_per_second')::numeric BETWEEN 1 AND 1000000 AND limits->>'commands_per_second' ~ '^[0-9]+$' ELSE false END) NOT VALID");

            migrationBuilder.Sql(
                "ALTER TABLE admin.tenants ADD CONSTRAINT ck_tenants_limits_max_connections CHECK (CASE coalesce(jsonb_typeof(limits->'max_connections'), 'null') WHEN 'null' THEN true WHEN 'number' THEN (limits->>'max_connections')::numeric BETWEEN 1 AND 1024 AND limits->>'max_connections' ~ '^[0-9]+$' ELSE false END) NOT VALID");

            migrationBuilder.Sql(
                "ALTER TABLE admin.tenants ADD CONSTRAINT ck_tenants_limits_max_waiting CHECK (CASE coalesce(jsonb_typeof(limits->'max_waiting'), 'null') WHEN 'null' THEN true WHEN 'number' THEN (limits->>'max_waiting')::numeric BETWEEN 0 AND 100000 AND limits->>'max_waiting' ~ '^[0-9]+$' ELSE false END) NOT VALID");

            migrationBuilder.Sql(
                "ALTER TABLE admin.tenants ADD CONSTRAINT ck_tenants_limits_statement_timeout_ms CHECK (CASE coalesce(jsonb_typeof(limits->'statement_timeout_ms'), 'null') WHEN 'null' THEN true WHEN 'number' THEN (limits->>'statement_timeout_ms')::numeric BETWEEN 1 AND 86400000 AND limits->>'statement_timeout_ms' ~ '^[0-9]+$' ELSE false END) NOT VALID");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropCheckConstraint(
                name: "ck_tenants_limits_commands_per_second",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropCheckConstraint(
                name: "ck_tenants_limits_max_connections",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropCheckConstraint(
                name: "ck_tenants_limits_max_waiting",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropCheckConstraint(
                name: "ck_tenants_limits_statement_timeout_ms",
                schema: "admin",
                table: "tenants");
        }
    }
}
