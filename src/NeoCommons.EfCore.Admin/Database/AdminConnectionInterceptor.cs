using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Opens the admin context's connection as all others are opened: tried after idling, with our exceptions.</summary>
internal sealed class AdminConnectionInterceptor(AdminDatabase database, ConnectionOpening opening)
    : DbConnectionInterceptor
{
    public override InterceptionResult ConnectionOpening(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result
    )
    {
        // Not async: the task has completed, and its exception is rethrown.
        OpenAsync(connection, async: false, CancellationToken.None).GetAwaiter().GetResult();
        return InterceptionResult.Suppress();
    }

    public override async ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result,
        CancellationToken cancellationToken = default
    )
    {
        await OpenAsync(connection, async: true, cancellationToken).ConfigureAwait(false);
        return InterceptionResult.Suppress();
    }

    private async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct) =>
        await opening.OpenAsync((NpgsqlConnection)connection, database.Row, async, ct).ConfigureAwait(false);
}
