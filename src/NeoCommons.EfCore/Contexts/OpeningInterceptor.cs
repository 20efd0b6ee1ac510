using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Opens a context's connection in EF's place, so that it is what it should be before EF sees it as open.</summary>
/// <remarks>
/// Binding in <c>ConnectionOpened</c> fails open: EF leaves the connection open when that throws, and the next command
/// or EF's retry skips the interceptor. Here an exception comes out of the opening itself.
/// </remarks>
internal abstract class OpeningInterceptor : DbConnectionInterceptor
{
    /// <summary>Opens it; without waiting for anything where that is not to be asynchronous.</summary>
    protected abstract ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct);

    public sealed override InterceptionResult ConnectionOpening(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result
    )
    {
        // Not async: the task has completed, and its exception is rethrown.
        OpenAsync(connection, async: false, CancellationToken.None).GetAwaiter().GetResult();
        return InterceptionResult.Suppress();
    }

    public sealed override async ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result,
        CancellationToken cancellationToken = default
    )
    {
        await OpenAsync(connection, async: true, cancellationToken).ConfigureAwait(false);
        return InterceptionResult.Suppress();
    }
}
