using System.Data.Common;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>Ends a lease before EF closes its connection, when a context is disposed or goes back to its pool.</summary>
/// <remarks>
/// By then its transaction may have been disposed, or its lease reset. This service depends on EF's connection under each name
/// that it is registered with, so it is made later and disposed earlier; and it is the first of those that a returned context resets
/// (which changes the order of disposal: a context that is disposed while it is in a pool has no lease).
/// </remarks>
internal sealed class LeaseEnd : IResettableService, IDisposable, IAsyncDisposable
{
    private readonly TenantLease _lease;
    private readonly IRelationalConnection _connection;
    private Action? _ended;

    public LeaseEnd(TenantLease lease, IRelationalConnection connection, IDbContextTransactionManager transactions)
    {
        System.Diagnostics.Debug.Assert(ReferenceEquals(connection, transactions), "One object, registered twice.");
        _lease = lease;
        _connection = connection;
    }

    /// <summary>Makes EF's connection like new: it forgets neither its connection nor how often it was opened by itself.</summary>
    public void Begin() => _connection.ResetState();

    /// <summary>Has EF use the connection, and close it.</summary>
    public void Lead(DbConnection connection) => _connection.SetDbConnection(connection, contextOwnsConnection: true);

    /// <summary>The transaction that EF has begun.</summary>
    public IDbContextTransaction? Transaction => _connection.CurrentTransaction;

    /// <summary>Has somebody told, once, when this lease ends.</summary>
    public void Tell(Action ended) => Volatile.Write(ref _ended, ended);

    public void ResetState()
    {
        try
        {
            // Not async: the task has completed.
            _lease.CloseAsync(async: false).GetAwaiter().GetResult();
        }
        catch
        {
            // What disposes a context stops at the first exception, and the lease would be next, and the connection.
            _lease.Touch();
            _lease.ResetState();
            throw;
        }
        finally
        {
            Interlocked.Exchange(ref _ended, null)?.Invoke();
        }
    }

    public async Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await _lease.CloseAsync(async: true).ConfigureAwait(false);
        }
        catch
        {
            _lease.Touch();
            _lease.ResetState();
            throw;
        }
        finally
        {
            Interlocked.Exchange(ref _ended, null)?.Invoke();
        }
    }

    public void Dispose() => ResetState();

    public ValueTask DisposeAsync() => new(ResetStateAsync());
}
