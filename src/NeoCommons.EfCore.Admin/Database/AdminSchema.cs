using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure;

namespace NeoCommons.EfCore.Admin;

/// <summary>The provider's options: the migrations history lies where the tables are, the migrations in this assembly.</summary>
internal static class AdminSchema
{
    public static DbContextOptionsBuilder UseAdminSchema(
        this DbContextOptionsBuilder options,
        NpgsqlDataSource source,
        Action<NpgsqlDbContextOptionsBuilder>? configure = null
    ) =>
        options.UseNpgsql(
            source,
            npgsql =>
            {
                Configure(npgsql);
                configure?.Invoke(npgsql);
            }
        );

    public static DbContextOptionsBuilder UseAdminSchema(
        this DbContextOptionsBuilder options,
        DbConnection connection
    ) => options.UseNpgsql(connection, Configure);

    public static DbContextOptionsBuilder UseAdminSchema(this DbContextOptionsBuilder options) =>
        options.UseNpgsql(Configure);

    /// <summary>A context on a connection that the caller has opened and closes: what it holds, locks too, holds for both.</summary>
    public static AdminDbContext ContextOn(NpgsqlConnection session)
    {
        var options = new DbContextOptionsBuilder<AdminDbContext>();
        options.UseAdminSchema(session);
        return new AdminDbContext(options.Options);
    }

    private static void Configure(NpgsqlDbContextOptionsBuilder npgsql) =>
        npgsql
            .MigrationsHistoryTable(HistoryRepository.DefaultTableName, SchemaNaming.AdminSchema)
            .MigrationsAssembly(typeof(AdminDbContext).Assembly.GetName().Name);
}
