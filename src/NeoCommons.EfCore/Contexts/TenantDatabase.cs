using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.EntityFrameworkCore.Update;

namespace NeoCommons.EfCore;

/// <summary>Looks at what is to be saved before anything is sent.</summary>
internal sealed class TenantDatabase(
    DatabaseDependencies dependencies,
    RelationalDatabaseDependencies relationalDependencies,
    TenantLease lease
) : RelationalDatabase(dependencies, relationalDependencies)
{
    public override int SaveChanges(IList<IUpdateEntry> entries)
    {
        ThrowIfRefused(entries);
        return base.SaveChanges(entries);
    }

    public override Task<int> SaveChangesAsync(
        IList<IUpdateEntry> entries,
        CancellationToken cancellationToken = default
    )
    {
        ThrowIfRefused(entries);
        return base.SaveChangesAsync(entries, cancellationToken);
    }

    private bool IsShared(IEntityType entity) =>
        entity.GetSchema() is { } schema && lease.Settings.SharedSchemas.Contains(schema);

    private void ThrowIfRefused(IList<IUpdateEntry> entries)
    {
        // Without a tenant the connection does not open.
        if (lease.Tenant is not { } tenant)
        {
            return;
        }

        if (lease.IsReadOnly)
        {
            throw new InvalidOperationException(
                $"This context of tenant '{tenant.Slug}' only reads. To write, make one with CreateDbContextAsync."
            );
        }

        if (lease.Settings.AllowsEntitiesOfOtherTenants)
        {
            return;
        }

        for (var i = 0; i < entries.Count; i++)
        {
            var entry = entries[i];
            if (
                EntityOwners.Of(entry.ToEntityEntry().Entity) is { } owner
                && owner.Id != tenant.Id
                && !IsShared(entry.EntityType)
            )
            {
                throw new TenantIsolationException(
                    $"This {entry.EntityType.DisplayName()} was read by a context of tenant '{owner.Slug}', and a context of tenant "
                        + $"'{tenant.Slug}' was to save it. Nothing was saved. Read it from '{tenant.Slug}', or make a new object, with "
                        + "new; where tenants do hand on their objects, AddTenantDbContext<T>(o => o.AllowEntitiesOfOtherTenants()).",
                    tenant.Id,
                    owner.Id
                );
            }
        }
    }
}
