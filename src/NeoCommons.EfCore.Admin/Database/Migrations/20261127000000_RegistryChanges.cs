using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class RegistryChanges : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // SECURITY DEFINER: who may change a tenant need not be allowed to write here. ALWAYS: also what replication applies.
            migrationBuilder.Sql(
                """
                CREATE TABLE admin.registry_changes (
                    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
                    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                    kind text NOT NULL CONSTRAINT ck_registry_changes_kind CHECK (kind IN ('tenant', 'tenants', 'connections')),
                    tenant_id uuid,
                    slugs text[]);
                CREATE INDEX ix_registry_changes_xid ON admin.registry_changes (xid);
                COMMENT ON TABLE admin.registry_changes IS 'What changed, for processes that cache it; a day of it';

                CREATE OR REPLACE FUNCTION admin.notify_tenant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    INSERT INTO admin.registry_changes (kind, tenant_id, slugs)
                    VALUES ('tenant', coalesce(NEW.id, OLD.id), array_remove(ARRAY[OLD.slug,
                        CASE WHEN NEW.slug IS DISTINCT FROM OLD.slug THEN NEW.slug END], NULL));
                    PERFORM pg_notify('neocommons_registry', '');
                    RETURN NULL;
                END
                $$;
                CREATE FUNCTION admin.notify_tenants() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    INSERT INTO admin.registry_changes (kind) VALUES ('tenants');
                    PERFORM pg_notify('neocommons_registry', '');
                    RETURN NULL;
                END
                $$;
                CREATE OR REPLACE FUNCTION admin.notify_connections() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    INSERT INTO admin.registry_changes (kind) VALUES ('connections');
                    PERFORM pg_notify('neocommons_registry', '');
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER notify_registry_truncated AFTER TRUNCATE ON admin.tenants
                    FOR EACH STATEMENT EXECUTE FUNCTION admin.notify_tenants();
                ALTER TABLE admin.tenants ENABLE ALWAYS TRIGGER notify_registry;
                ALTER TABLE admin.tenants ENABLE ALWAYS TRIGGER notify_registry_truncated;
                ALTER TABLE admin.database_connections ENABLE ALWAYS TRIGGER notify_registry;
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                """
                DROP TRIGGER notify_registry_truncated ON admin.tenants;
                DROP FUNCTION admin.notify_tenants();
                CREATE OR REPLACE FUNCTION admin.notify_tenant() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER
                    SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    PERFORM pg_notify('neocommons_registry', concat_ws(' ', 'tenant', coalesce(NEW.id, OLD.id), OLD.slug,
                        CASE WHEN NEW.slug IS DISTINCT FROM OLD.slug THEN NEW.slug END));
                    RETURN NULL;
                END
                $$;
                CREATE OR REPLACE FUNCTION admin.notify_connections() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER
                    SET search_path = pg_catalog, pg_temp AS $$
                BEGIN
                    PERFORM pg_notify('neocommons_registry', 'connections');
                    RETURN NULL;
                END
                $$;
                DROP TABLE admin.registry_changes;
                """);
        }
    }
}
