using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>Chooses what binds a context's connection to its tenant.</summary>
internal static class LeaseBinding
{
    /// <exception cref="TenantIsolationException">The connection's pooler keeps no search path.</exception>
    public static SessionBinding For(
        DbContext context,
        TenantContextSettings settings,
        Tenant tenant,
        DatabaseConnection row,
        SearchPath searchPath,
        bool readOnly
    ) =>
        settings.Binding switch
        {
            SchemaBinding.QualifiedNames => searchPath.Named(tenant, readOnly, row.Pooler),
            _ when row.Pooler == PoolerMode.Transaction => throw new TenantIsolationException(
                $"{context.GetType().Name} is bound by search_path, which the transaction pooler of connection "
                    + $"'{row.Name}' hands from client to client. {PoolerProbe.Remedies}",
                tenant.Id
            ),
            _ => searchPath.To(tenant, readOnly),
        };
}
