using System.Data.Common;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Opens the admin context's connection as all others are opened: tried after idling, with our exceptions.</summary>
internal sealed class AdminConnectionInterceptor(AdminDatabase database, ConnectionOpening opening) : OpeningInterceptor
{
    protected override async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct) =>
        await opening.OpenAsync((NpgsqlConnection)connection, database.Row, async, ct).ConfigureAwait(false);
}
