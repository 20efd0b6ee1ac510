using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

internal static class AdminSchema
{
    /// <summary>The provider, with the migrations history where the tables are and the migrations of this assembly.</summary>
    public static DbContextOptionsBuilder<TContext> UseAdminSchema<TContext>(
        this DbContextOptionsBuilder<TContext> options
    )
        where TContext : DbContext
    {
        options.UseNpgsql(npgsql =>
            npgsql
                .MigrationsHistoryTable(HistoryRepository.DefaultTableName, SchemaNaming.AdminSchema)
                .MigrationsAssembly(typeof(AdminDbContext).Assembly.GetName().Name)
        );
        return options;
    }
}
