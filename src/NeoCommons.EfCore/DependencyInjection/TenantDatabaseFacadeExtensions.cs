using Microsoft.EntityFrameworkCore.Infrastructure;
using NeoCommons.EfCore;

namespace Microsoft.EntityFrameworkCore;

/// <summary>What raw SQL needs to know of its context's tenant.</summary>
public static class TenantDatabaseFacadeExtensions
{
    /// <summary>The schema of the context's tenant; put its <see cref="SchemaName.Quoted"/> into SQL.</summary>
    /// <exception cref="TenantNotResolvedException">The context has no tenant.</exception>
    public static SchemaName GetTenantSchema(this DatabaseFacade database)
    {
        ArgumentNullException.ThrowIfNull(database);
        return database.GetService<TenantLease>().Tenant?.Schema
            ?? throw new TenantNotResolvedException(
                "This context has no tenant, so no schema either. Make contexts with ITenantDbContextFactory<T>."
            );
    }

    /// <summary>
    /// Replaces <c>"$tenant".</c>, wherever SQL names a schema, by the schema of the context's tenant: for SQL that EF does
    /// not execute, as with Dapper or COPY on <c>Database.GetDbConnection()</c>. Works with either binding.
    /// </summary>
    /// <param name="database">The context's <c>Database</c>.</param>
    /// <param name="sql">For example <c>COPY "$tenant"."Products" FROM STDIN</c>. Strings and comments stay as they are.</param>
    /// <exception cref="TenantNotResolvedException">The context has no tenant.</exception>
    public static string ToTenantSql(this DatabaseFacade database, string sql)
    {
        ArgumentNullException.ThrowIfNull(sql);
        return QualifiedSql.For(sql, database.GetTenantSchema());
    }
}
