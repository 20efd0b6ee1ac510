using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore;

/// <summary>Looks at each command before it is sent: it must be on the connection that was bound for this context.</summary>
/// <remarks>
/// EF does not open, and so nothing binds, a connection that is open already: one that the application brought with
/// <c>SetDbConnection</c>, or opened itself.
/// </remarks>
internal sealed class TenantCommandGuard(TenantLease lease) : DbCommandInterceptor
{
    public override InterceptionResult<DbDataReader> ReaderExecuting(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<DbDataReader> result
    ) => Pass(command, result);

    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<DbDataReader> result,
        CancellationToken cancellationToken = default
    ) => new(Pass(command, result));

    public override InterceptionResult<object> ScalarExecuting(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<object> result
    ) => Pass(command, result);

    public override ValueTask<InterceptionResult<object>> ScalarExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<object> result,
        CancellationToken cancellationToken = default
    ) => new(Pass(command, result));

    public override InterceptionResult<int> NonQueryExecuting(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<int> result
    ) => Pass(command, result);

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<int> result,
        CancellationToken cancellationToken = default
    ) => new(Pass(command, result));

    private TResult Pass<TResult>(DbCommand command, TResult result)
    {
        lease.ThrowIfNotBound(command.Connection);
        return result;
    }
}
