using System.Data.Common;

namespace NeoCommons.EfCore;

/// <summary>Opens the connection of a context of shared tables as all others are opened.</summary>
internal sealed class SharedConnectionInterceptor(SharedLease lease) : OpeningInterceptor
{
    protected override ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct) =>
        lease.OpenAsync(connection, async, ct);
}
