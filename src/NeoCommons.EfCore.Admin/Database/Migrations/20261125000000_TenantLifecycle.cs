using System;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class TenantLifecycle : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "archived_at",
                schema: "admin",
                table: "tenants",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "migrating_until",
                schema: "admin",
                table: "tenants",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "retained_until",
                schema: "admin",
                table: "tenants",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "tenant_type",
                schema: "admin",
                table: "tenants",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "accepts_tenants",
                schema: "admin",
                table: "database_connections",
                type: "boolean",
                nullable: false,
                defaultValue: true);

            migrationBuilder.AddColumn<int>(
                name: "max_relations",
                schema: "admin",
                table: "database_connections",
                type: "integer",
                nullable: false,
                defaultValue: 50000);

            migrationBuilder.AddColumn<int>(
                name: "max_tenants",
                schema: "admin",
                table: "database_connections",
                type: "integer",
                nullable: false,
                defaultValue: 1000);

            migrationBuilder.CreateTable(
                name: "migration_runs",
                schema: "admin",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false, defaultValueSql: "gen_random_uuid()"),
                    status = table.Column<string>(type: "text", nullable: false),
                    target = table.Column<string>(type: "text", nullable: false),
                    started_by = table.Column<string>(type: "text", nullable: false),
                    error_budget = table.Column<int>(type: "integer", nullable: true),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_migration_runs", x => x.id);
                    table.CheckConstraint("ck_migration_runs_status", "status IN ('running', 'completed', 'failed', 'stopped')");
                });

            migrationBuilder.CreateTable(
                name: "tenant_events",
                schema: "admin",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityAlwaysColumn),
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    slug = table.Column<string>(type: "text", nullable: false),
                    action = table.Column<string>(type: "text", nullable: false),
                    actor = table.Column<string>(type: "text", nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    details = table.Column<string>(type: "jsonb", nullable: false, defaultValueSql: "'{}'")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_tenant_events", x => x.id);
                    table.CheckConstraint("ck_tenant_events_details", "jsonb_typeof(details) = 'object'");
                });

            migrationBuilder.CreateTable(
                name: "warm_schemas",
                schema: "admin",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false, defaultValueSql: "gen_random_uuid()"),
                    connection_id = table.Column<Guid>(type: "uuid", nullable: false),
                    tenant_type = table.Column<string>(type: "text", nullable: true),
                    schema_name = table.Column<string>(type: "text", nullable: false),
                    schema_version = table.Column<string>(type: "text", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_warm_schemas", x => x.id);
                    table.CheckConstraint("ck_warm_schemas_schema_name", "octet_length(convert_to(schema_name, 'UTF8')) BETWEEN 1 AND 63 AND schema_name !~ '[\\u0001-\\u001f\\u007f-\\u009f]' AND lower(schema_name COLLATE \"C\") NOT LIKE 'pg\\_%' AND lower(schema_name COLLATE \"C\") NOT IN ('public', 'information_schema', '$user', 'neocommons_no_tenant')");
                    table.ForeignKey(
                        name: "fk_warm_schemas_database_connections",
                        column: x => x.connection_id,
                        principalSchema: "admin",
                        principalTable: "database_connections",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "tenant_migrations",
                schema: "admin",
                columns: table => new
                {
                    run_id = table.Column<Guid>(type: "uuid", nullable: false),
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    connection_id = table.Column<Guid>(type: "uuid", nullable: false),
                    ring = table.Column<int>(type: "integer", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false),
                    runner = table.Column<long>(type: "bigint", nullable: true),
                    from_version = table.Column<string>(type: "text", nullable: true),
                    to_version = table.Column<string>(type: "text", nullable: true),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    duration_ms = table.Column<int>(type: "integer", nullable: true),
                    error = table.Column<string>(type: "text", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_tenant_migrations", x => new { x.run_id, x.tenant_id });
                    table.CheckConstraint("ck_tenant_migrations_state", "state IN ('pending', 'running', 'done', 'failed')");
                    table.ForeignKey(
                        name: "fk_tenant_migrations_migration_runs",
                        column: x => x.run_id,
                        principalSchema: "admin",
                        principalTable: "migration_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_tenant_migrations_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "admin",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.AddCheckConstraint(
                name: "ck_tenants_tenant_type",
                schema: "admin",
                table: "tenants",
                sql: "length(tenant_type) BETWEEN 1 AND 50");

            migrationBuilder.AddCheckConstraint(
                name: "ck_database_connections_max_relations",
                schema: "admin",
                table: "database_connections",
                sql: "max_relations >= 0");

            migrationBuilder.AddCheckConstraint(
                name: "ck_database_connections_max_tenants",
                schema: "admin",
                table: "database_connections",
                sql: "max_tenants >= 0");

            migrationBuilder.CreateIndex(
                name: "ux_migration_runs_running",
                schema: "admin",
                table: "migration_runs",
                column: "target",
                unique: true,
                filter: "status = 'running'");

            migrationBuilder.CreateIndex(
                name: "ix_tenant_events_tenant_id",
                schema: "admin",
                table: "tenant_events",
                columns: new[] { "tenant_id", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_tenant_migrations_run_id_state_ring_connection_id",
                schema: "admin",
                table: "tenant_migrations",
                columns: new[] { "run_id", "state", "ring", "connection_id" });

            migrationBuilder.CreateIndex(
                name: "ix_tenant_migrations_tenant_id",
                schema: "admin",
                table: "tenant_migrations",
                column: "tenant_id");

            migrationBuilder.CreateIndex(
                name: "ux_warm_schemas_connection_id_schema_name",
                schema: "admin",
                table: "warm_schemas",
                columns: new[] { "connection_id", "schema_name" },
                unique: true);

            // Each process listens: a changed row is forgotten there at once, also one that was changed by plain SQL.
            migrationBuilder.Sql(
                """
                CREATE FUNCTION admin.notify_tenant() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    PERFORM pg_notify('neocommons_registry', concat_ws(' ', 'tenant', coalesce(NEW.id, OLD.id), OLD.slug,
                        CASE WHEN NEW.slug IS DISTINCT FROM OLD.slug THEN NEW.slug END));
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER notify_registry AFTER INSERT OR UPDATE OR DELETE ON admin.tenants
                    FOR EACH ROW EXECUTE FUNCTION admin.notify_tenant();
                CREATE FUNCTION admin.notify_connections() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    PERFORM pg_notify('neocommons_registry', 'connections');
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER notify_registry AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON admin.database_connections
                    FOR EACH STATEMENT EXECUTE FUNCTION admin.notify_connections();
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                """
                DROP TRIGGER notify_registry ON admin.tenants;
                DROP TRIGGER notify_registry ON admin.database_connections;
                DROP FUNCTION admin.notify_tenant();
                DROP FUNCTION admin.notify_connections();
                """);

            migrationBuilder.DropTable(
                name: "tenant_events",
                schema: "admin");

            migrationBuilder.DropTable(
                name: "tenant_migrations",
                schema: "admin");

            migrationBuilder.DropTable(
                name: "warm_schemas",
                schema: "admin");

            migrationBuilder.DropTable(
                name: "migration_runs",
                schema: "admin");

            migrationBuilder.DropCheckConstraint(
                name: "ck_tenants_tenant_type",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropCheckConstraint(
                name: "ck_database_connections_max_relations",
                schema: "admin",
                table: "database_connections");

            migrationBuilder.DropCheckConstraint(
                name: "ck_database_connections_max_tenants",
                schema: "admin",
                table: "database_connections");

            migrationBuilder.DropColumn(
                name: "archived_at",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropColumn(
                name: "migrating_until",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropColumn(
                name: "retained_until",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropColumn(
                name: "tenant_type",
                schema: "admin",
                table: "tenants");

            migrationBuilder.DropColumn(
                name: "accepts_tenants",
                schema: "admin",
                table: "database_connections");

            migrationBuilder.DropColumn(
                name: "max_relations",
                schema: "admin",
                table: "database_connections");

            migrationBuilder.DropColumn(
                name: "max_tenants",
                schema: "admin",
                table: "database_connections");
        }
    }
}
