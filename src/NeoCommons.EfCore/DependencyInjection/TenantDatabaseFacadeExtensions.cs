using Microsoft.EntityFrameworkCore.Infrastructure;
using NeoCommons.EfCore;

namespace Microsoft.EntityFrameworkCore;

/// <summary>What raw SQL, and a model that differs by tenant, need to know of their context's tenant.</summary>
public static class TenantDatabaseFacadeExtensions
{
    /// <summary>The tenant of the context, or null for one that has none: of the migrator, and of EF's tools.</summary>
    /// <remarks>
    /// With <c>ModelPerSchema()</c> this is where <c>OnModelCreating</c> takes its tenant from. A constructor's
    /// <see cref="ITenantContext"/> is not: it knows the tenant of its DI scope, and a context of
    /// <see cref="ITenantDbContextFactory{TContext}"/> may have another. Migrations are made for the model without a tenant.
    /// </remarks>
    /// <exception cref="InvalidOperationException">
    /// A model is being built for all tenants, in <c>OnModelCreating</c> without <c>ModelPerSchema()</c>, or for another one.
    /// </exception>
    public static Tenant? FindTenant(this DatabaseFacade database)
    {
        ArgumentNullException.ThrowIfNull(database);
        var services = database.GetInfrastructure();
        var leased = ((TenantLease?)services.GetService(typeof(TenantLease)))?.Tenant;
        return ModelBuilding.Read(leased ?? TenantOptionsExtension.TenantOf(services));
    }

    /// <summary>The schema of the context's tenant; put its <see cref="SchemaName.Quoted"/> into SQL.</summary>
    /// <exception cref="TenantNotResolvedException">
    /// The context has no tenant. In <c>OnModelCreating</c> that is so for migrations: ask <see cref="FindTenant"/> there.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A model is being built for all tenants, in <c>OnModelCreating</c> without <c>ModelPerSchema()</c>, or for another one.
    /// </exception>
    public static SchemaName GetTenantSchema(this DatabaseFacade database) =>
        database.FindTenant()?.Schema
        ?? throw new TenantNotResolvedException(
            "This context has no tenant, so no schema either. Make contexts with ITenantDbContextFactory<T>; in OnModelCreating, "
                + "where migrations have none, ask Database.FindTenant()."
        );

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
