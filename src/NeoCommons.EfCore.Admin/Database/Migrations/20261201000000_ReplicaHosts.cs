using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class ReplicaHosts : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "failover_connection",
                schema: "admin",
                table: "database_connections",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "failover_writes",
                schema: "admin",
                table: "database_connections",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AddColumn<string>(
                name: "replica_hosts",
                schema: "admin",
                table: "database_connections",
                type: "text",
                nullable: true);

            migrationBuilder.AddCheckConstraint(
                name: "ck_database_connections_failover_connection",
                schema: "admin",
                table: "database_connections",
                sql: "failover_connection <> connection_name");

            migrationBuilder.AddCheckConstraint(
                name: "ck_database_connections_failover_writes",
                schema: "admin",
                table: "database_connections",
                sql: "NOT failover_writes OR failover_connection IS NOT NULL");

            migrationBuilder.AddCheckConstraint(
                name: "ck_database_connections_replica_hosts",
                schema: "admin",
                table: "database_connections",
                sql: "length(replica_hosts) BETWEEN 1 AND 4000 AND replica_hosts !~ '[/@]'");

            // What is used in the place of another connection must have no tenants of its own, and stand in for one only: a tenant
            // whose schema is called like another's would be read and written in that one's stead. Who names a connection locks its row, and who
            // places a tenant waits for that, so that neither misses the other. SECURITY DEFINER: who may change tenants need not
            // be allowed to lock connections.
            migrationBuilder.Sql(
                """
                ALTER TABLE admin.database_connections ADD CONSTRAINT fk_database_connections_failover
                    FOREIGN KEY (failover_connection) REFERENCES admin.database_connections (connection_name) ON UPDATE CASCADE;
                CREATE UNIQUE INDEX ux_database_connections_failover ON admin.database_connections (failover_connection)
                    WHERE failover_connection IS NOT NULL;

                CREATE FUNCTION admin.check_failover_connection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS $$
                DECLARE
                    named uuid;
                BEGIN
                    SELECT id INTO named FROM admin.database_connections
                    WHERE connection_name = NEW.failover_connection FOR UPDATE;
                    IF EXISTS (SELECT FROM admin.tenants WHERE connection_id = named) THEN
                        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'failover_has_no_tenants',
                            MESSAGE = format('connection "%s" has tenants, and cannot be the failover connection of "%s"',
                                NEW.failover_connection, NEW.connection_name),
                            HINT = 'Register the standby as a connection of its own, and place no tenant there.';
                    END IF;
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER check_failover_connection AFTER INSERT OR UPDATE OF failover_connection
                    ON admin.database_connections FOR EACH ROW WHEN (NEW.failover_connection IS NOT NULL)
                    EXECUTE FUNCTION admin.check_failover_connection();

                CREATE FUNCTION admin.check_tenant_connection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS $$
                DECLARE
                    place text;
                BEGIN
                    SELECT connection_name INTO place FROM admin.database_connections
                    WHERE id = NEW.connection_id FOR KEY SHARE;
                    IF EXISTS (SELECT FROM admin.database_connections WHERE failover_connection = place) THEN
                        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'failover_has_no_tenants',
                            MESSAGE = format('connection "%s" is the failover connection of another, and takes no tenants', place),
                            HINT = 'Place the tenant on another connection.';
                    END IF;
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER check_tenant_connection AFTER INSERT OR UPDATE OF connection_id ON admin.tenants
                    FOR EACH ROW EXECUTE FUNCTION admin.check_tenant_connection();
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                """
                DROP TRIGGER check_tenant_connection ON admin.tenants;
                DROP TRIGGER check_failover_connection ON admin.database_connections;
                DROP FUNCTION admin.check_tenant_connection();
                DROP FUNCTION admin.check_failover_connection();
                ALTER TABLE admin.database_connections DROP CONSTRAINT fk_database_connections_failover;
                """);

            foreach (var constraint in new[] { "failover_connection", "failover_writes", "replica_hosts" })
            {
                migrationBuilder.DropCheckConstraint(
                    name: "ck_database_connections_" + constraint,
                    schema: "admin",
                    table: "database_connections");
            }

            foreach (var column in new[] { "failover_connection", "failover_writes", "replica_hosts" })
            {
                migrationBuilder.DropColumn(
                    name: column,
                    schema: "admin",
                    table: "database_connections");
            }
        }
    }
}
