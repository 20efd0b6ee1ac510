using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class InitialRegistry : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.EnsureSchema(
                name: "admin");

            migrationBuilder.CreateTable(
                name: "database_connections",
                schema: "admin",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false, defaultValueSql: "gen_random_uuid()"),
                    connection_name = table.Column<string>(type: "text", nullable: false),
                    connection_type = table.Column<string>(type: "text", nullable: false, defaultValueSql: "'SHARED'"),
                    region_id = table.Column<string>(type: "text", nullable: true),
                    host = table.Column<string>(type: "text", nullable: false),
                    port = table.Column<int>(type: "integer", nullable: false, defaultValue: 5432),
                    database_name = table.Column<string>(type: "text", nullable: false),
                    username = table.Column<string>(type: "text", nullable: false),
                    encrypted_password = table.Column<string>(type: "text", nullable: false),
                    ssl_mode = table.Column<string>(type: "text", nullable: false, defaultValueSql: "'require'"),
                    pool_min_size = table.Column<int>(type: "integer", nullable: false, defaultValue: 5),
                    pool_max_size = table.Column<int>(type: "integer", nullable: false, defaultValue: 20),
                    pool_timeout_seconds = table.Column<int>(type: "integer", nullable: false, defaultValue: 30),
                    pool_recycle_seconds = table.Column<int>(type: "integer", nullable: false, defaultValue: 3600),
                    pool_pre_ping = table.Column<bool>(type: "boolean", nullable: false, defaultValue: true),
                    pooler = table.Column<string>(type: "text", nullable: false, defaultValueSql: "'none'"),
                    is_active = table.Column<bool>(type: "boolean", nullable: false, defaultValue: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_database_connections", x => x.id);
                    table.CheckConstraint("ck_database_connections_connection_name", "length(connection_name) BETWEEN 1 AND 100 AND connection_name <> 'admin-database'");
                    table.CheckConstraint("ck_database_connections_connection_type", "connection_type IN ('ADMIN', 'SHARED', 'ANALYTICS', 'DEDICATED')");
                    table.CheckConstraint("ck_database_connections_database_name", "octet_length(database_name) BETWEEN 1 AND 63");
                    table.CheckConstraint("ck_database_connections_host", "length(host) BETWEEN 1 AND 253 AND host !~ '[,/@\\s]'");
                    table.CheckConstraint("ck_database_connections_pool_recycle_seconds", "pool_recycle_seconds >= 0");
                    table.CheckConstraint("ck_database_connections_pool_size", "pool_min_size >= 0 AND pool_max_size BETWEEN greatest(pool_min_size, 1) AND 10000");
                    table.CheckConstraint("ck_database_connections_pool_timeout_seconds", "pool_timeout_seconds BETWEEN 1 AND 1024");
                    table.CheckConstraint("ck_database_connections_pooler", "pooler IN ('none', 'session', 'transaction')");
                    table.CheckConstraint("ck_database_connections_port", "port BETWEEN 1 AND 65535");
                    table.CheckConstraint("ck_database_connections_ssl_mode", "ssl_mode IN ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')");
                    table.CheckConstraint("ck_database_connections_username", "octet_length(username) BETWEEN 1 AND 63");
                });

            migrationBuilder.CreateTable(
                name: "tenants",
                schema: "admin",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false, defaultValueSql: "gen_random_uuid()"),
                    slug = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    name = table.Column<string>(type: "text", nullable: false),
                    schema_name = table.Column<string>(type: "text", nullable: false),
                    connection_id = table.Column<Guid>(type: "uuid", nullable: false),
                    status = table.Column<string>(type: "text", nullable: false, defaultValueSql: "'active'"),
                    region_id = table.Column<string>(type: "text", nullable: true),
                    limits = table.Column<string>(type: "jsonb", nullable: false, defaultValueSql: "'{}'"),
                    schema_version = table.Column<string>(type: "text", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()"),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false, defaultValueSql: "now()")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_tenants", x => x.id);
                    table.CheckConstraint("ck_tenants_limits", "jsonb_typeof(limits) = 'object'");
                    table.CheckConstraint("ck_tenants_name", "length(name) BETWEEN 1 AND 200");
                    table.CheckConstraint("ck_tenants_schema_name", "octet_length(convert_to(schema_name, 'UTF8')) BETWEEN 1 AND 63 AND schema_name !~ '[\\u0001-\\u001f\\u007f-\\u009f]' AND lower(schema_name COLLATE \"C\") NOT LIKE 'pg\\_%' AND lower(schema_name COLLATE \"C\") NOT IN ('public', 'information_schema', '$user', 'neocommons_no_tenant')");
                    table.CheckConstraint("ck_tenants_schema_name_is_a_tenants", "schema_name NOT IN ('admin', 'shared', 'tenant_template')");
                    table.CheckConstraint("ck_tenants_slug", "slug ~ '^[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]$' AND slug !~ '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'");
                    table.CheckConstraint("ck_tenants_status", "status IN ('provisioning', 'active', 'suspended', 'archived')");
                    table.ForeignKey(
                        name: "fk_tenants_database_connections",
                        column: x => x.connection_id,
                        principalSchema: "admin",
                        principalTable: "database_connections",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateIndex(
                name: "ux_database_connections_connection_name",
                schema: "admin",
                table: "database_connections",
                column: "connection_name",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ux_tenants_connection_id_schema_name",
                schema: "admin",
                table: "tenants",
                columns: new[] { "connection_id", "schema_name" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ux_tenants_slug",
                schema: "admin",
                table: "tenants",
                column: "slug",
                unique: true);

            // Two rows that name one physical database would let two tenants have one schema.
            migrationBuilder.Sql(
                "CREATE UNIQUE INDEX ux_database_connections_physical_database "
                    + "ON admin.database_connections (lower(rtrim(host, '.') COLLATE \"C\"), port, database_name);");

            // Operators change rows by plain SQL too.
            migrationBuilder.Sql(
                """
                CREATE FUNCTION admin.set_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    NEW.updated_at := now();
                    RETURN NEW;
                END
                $$;
                CREATE TRIGGER set_updated_at BEFORE UPDATE ON admin.database_connections
                    FOR EACH ROW EXECUTE FUNCTION admin.set_updated_at();
                CREATE TRIGGER set_updated_at BEFORE UPDATE ON admin.tenants
                    FOR EACH ROW EXECUTE FUNCTION admin.set_updated_at();
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "tenants",
                schema: "admin");

            migrationBuilder.DropTable(
                name: "database_connections",
                schema: "admin");

            migrationBuilder.Sql("DROP FUNCTION admin.set_updated_at();");
        }
    }
}
