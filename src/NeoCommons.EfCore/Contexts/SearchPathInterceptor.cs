using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Opens a tenant context's connection bound to the tenant, and ends the use when it is closed.</summary>
internal sealed class SearchPathInterceptor(TenantLease lease) : OpeningInterceptor
{
    protected override ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct) =>
        lease.OpenAsync(connection, async, ct);

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
