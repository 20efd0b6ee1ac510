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
    ) => Pass(command, eventData, result);

    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<DbDataReader> result,
        CancellationToken cancellationToken = default
    ) => PassAsync(command, eventData, result, cancellationToken);

    public override InterceptionResult<object> ScalarExecuting(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<object> result
    ) => Pass(command, eventData, result);

    public override ValueTask<InterceptionResult<object>> ScalarExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<object> result,
        CancellationToken cancellationToken = default
    ) => PassAsync(command, eventData, result, cancellationToken);

    public override InterceptionResult<int> NonQueryExecuting(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<int> result
    ) => Pass(command, eventData, result);

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<int> result,
        CancellationToken cancellationToken = default
    ) => PassAsync(command, eventData, result, cancellationToken);

    private TResult Pass<TResult>(DbCommand command, CommandEventData data, TResult result)
    {
        // Not async: the task has completed, and its exception is rethrown.
        lease
            .PassAsync(command, IsForeign(command, data), async: false, CancellationToken.None)
            .GetAwaiter()
            .GetResult();
        return result;
    }

    private ValueTask<TResult> PassAsync<TResult>(
        DbCommand command,
        CommandEventData data,
        TResult result,
        CancellationToken ct
    )
    {
        var passing = lease.PassAsync(command, IsForeign(command, data), async: true, ct);
        return passing.IsCompletedSuccessfully ? new ValueTask<TResult>(result) : Await(passing, result);

        static async ValueTask<TResult> Await(ValueTask passing, TResult result)
        {
            await passing.ConfigureAwait(false);
            return result;
        }
    }

    private static bool IsForeign(DbCommand command, CommandEventData data) =>
        data.CommandSource switch
        {
            CommandSource.SaveChanges
            or CommandSource.LinqQuery
            or CommandSource.ExecuteUpdate
            or CommandSource.ExecuteDelete
            or CommandSource.ValueGenerator => ForeignSql.IsIn(command.CommandText),
            _ => true,
        };
}
