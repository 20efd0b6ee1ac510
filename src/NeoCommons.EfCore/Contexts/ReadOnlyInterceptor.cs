using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Refuses to save through a read-only context, before anything is sent.</summary>
internal sealed class ReadOnlyInterceptor(TenantLease lease) : SaveChangesInterceptor
{
    public override InterceptionResult<int> SavingChanges(DbContextEventData eventData, InterceptionResult<int> result)
    {
        ThrowIfReadOnly();
        return result;
    }

    public override ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData,
        InterceptionResult<int> result,
        CancellationToken cancellationToken = default
    )
    {
        ThrowIfReadOnly();
        return new ValueTask<InterceptionResult<int>>(result);
    }

    private void ThrowIfReadOnly()
    {
        if (lease.IsReadOnly)
        {
            throw new InvalidOperationException(
                $"This context of tenant '{lease.Tenant!.Slug}' only reads. To write, make one with CreateDbContextAsync."
            );
        }
    }
}
