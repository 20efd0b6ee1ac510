using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>Ends a lease before EF closes its connection, when a context is disposed or goes back to its pool.</summary>
/// <remarks>
/// EF closes a connection that is still open without telling an interceptor. This service depends on EF's connection under
/// each name that it is registered with, so it is made later and disposed earlier; and it is the first of those that a
/// returned context resets.
/// </remarks>
internal sealed class LeaseEnd : IResettableService, IDisposable, IAsyncDisposable
{
    private readonly TenantLease _lease;
    private readonly IRelationalConnection _connection;

    public LeaseEnd(TenantLease lease, IRelationalConnection connection, IDbContextTransactionManager transactions)
    {
        System.Diagnostics.Debug.Assert(ReferenceEquals(connection, transactions), "One object, registered twice.");
        _lease = lease;
        _connection = connection;
    }

    /// <summary>Makes EF's connection like new: it forgets neither its connection nor how often it was opened by itself.</summary>
    public void Begin() => _connection.ResetState();

    // Not async: the task has completed.
    public void ResetState() => _lease.CloseAsync(async: false).GetAwaiter().GetResult();

    public Task ResetStateAsync(CancellationToken cancellationToken = default) =>
        _lease.CloseAsync(async: true).AsTask();

    public void Dispose() => ResetState();

    public ValueTask DisposeAsync() => _lease.CloseAsync(async: true);
}
