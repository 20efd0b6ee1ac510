using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Opens the connection of a context of shared tables as all others are opened.</summary>
internal sealed class SharedConnectionInterceptor(SharedLease lease) : DbConnectionInterceptor
{
    public override InterceptionResult ConnectionOpening(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result
    )
    {
        // Not async: the task has completed, and its exception is rethrown.
        lease.OpenAsync(connection, async: false, CancellationToken.None).GetAwaiter().GetResult();
        return InterceptionResult.Suppress();
    }

    public override async ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result,
        CancellationToken cancellationToken = default
    )
    {
        await lease.OpenAsync(connection, async: true, cancellationToken).ConfigureAwait(false);
        return InterceptionResult.Suppress();
    }
}
