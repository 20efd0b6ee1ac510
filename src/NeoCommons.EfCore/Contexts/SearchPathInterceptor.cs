using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Opens a context's connection in EF's place, so that it is bound before EF sees it as open.</summary>
/// <remarks>
/// Binding in <c>ConnectionOpened</c> fails open: EF leaves the connection open when that throws, and the next command
/// or EF's retry skips the interceptor. Here an exception comes out of the opening itself.
/// </remarks>
internal sealed class SearchPathInterceptor(TenantLease lease) : DbConnectionInterceptor
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

    public override InterceptionResult ConnectionClosing(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result
    )
    {
        // Not async: the task has completed.
        lease.CloseAsync(async: false).GetAwaiter().GetResult();
        return result;
    }

    public override async ValueTask<InterceptionResult> ConnectionClosingAsync(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result
    )
    {
        await lease.CloseAsync(async: true).ConfigureAwait(false);
        return result;
    }
}
