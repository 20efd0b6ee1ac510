using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace NeoCommons.EfCore.Admin.Database.Migrations
{
    /// <inheritdoc />
    internal sealed partial class MigrationRunSets : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // Of a run that goes on, nobody knows which migrations it applies: the next one plans again.
            migrationBuilder.Sql(
                """
                UPDATE admin.migration_runs SET status = 'stopped', finished_at = clock_timestamp() WHERE status = 'running';
                DROP INDEX admin.ux_migration_runs_running;
                ALTER TABLE admin.migration_runs ADD migrations text NOT NULL DEFAULT '';
                CREATE UNIQUE INDEX ux_migration_runs_running ON admin.migration_runs (md5(migrations)) WHERE status = 'running';
                """);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                """
                UPDATE admin.migration_runs SET status = 'stopped', finished_at = clock_timestamp() WHERE status = 'running';
                DROP INDEX admin.ux_migration_runs_running;
                ALTER TABLE admin.migration_runs DROP migrations;
                CREATE UNIQUE INDEX ux_migration_runs_running ON admin.migration_runs (target) WHERE status = 'running';
                """);
        }
    }
}
