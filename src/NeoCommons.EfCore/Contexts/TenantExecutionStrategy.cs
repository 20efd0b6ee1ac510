using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql.EntityFrameworkCore.PostgreSQL;

namespace NeoCommons.EfCore;

/// <summary>Tries again, after a fault that passes, what certainly did not happen.</summary>
/// <remarks>
/// <para>
/// A query, and whatever a read-only context does, always; what writes, only where the server has said that it was rolled
/// back, and nothing was committed before it: when a connection breaks under a commit, nobody knows whether it was one, and doing it again might do it twice.
/// Never within a transaction of the application, which has to begin again as a whole. A server that cannot be reached is <see cref="ConnectionBreaker"/>'s.
/// </para>
/// <para>
/// Unlike Npgsql's, it is silent about it to EF, which would read every result into memory before it hands out the first
/// row, and would refuse transactions of the application. What breaks while rows are being read is therefore not repeated.
/// </para>
/// </remarks>
internal sealed class TenantExecutionStrategy(ExecutionStrategyDependencies dependencies)
    : NpgsqlRetryingExecutionStrategy(dependencies, Retries, LongestDelay, errorCodesToAdd: null)
{
    // And the two tries that need none: what is Execute's here, and the base class's first.
    private const int Retries = 2;

    private static readonly TimeSpan LongestDelay = TimeSpan.FromMilliseconds(500);

    // What was written before this try began.
    private int _mark;

    public override bool RetriesOnFailure => false;

    private DbContext Context => Dependencies.CurrentContext.Context;

    /// <summary>The first try is made without what EF needs for more: it costs an operation nothing.</summary>
    public override TResult Execute<TState, TResult>(
        TState state,
        Func<DbContext, TState, TResult> operation,
        Func<DbContext, TState, ExecutionResult<TResult>>? verifySucceeded
    )
    {
        if (Current is not null)
        {
            return Ended(operation(Context, state));
        }

        var outer = Begin();
        try
        {
            try
            {
                return Ended(operation(Context, state));
            }
            catch (Exception e)
            {
                // Not in a filter: that comes before a transaction within the operation is disposed.
                if (!CallOnWrappedException(e, ShouldRetryOn))
                {
                    throw;
                }
            }

            return Ended(base.Execute(state, operation, verifySucceeded));
        }
        finally
        {
            _mark = outer;
        }
    }

    public override async Task<TResult> ExecuteAsync<TState, TResult>(
        TState state,
        Func<DbContext, TState, CancellationToken, Task<TResult>> operation,
        Func<DbContext, TState, CancellationToken, Task<ExecutionResult<TResult>>>? verifySucceeded,
        CancellationToken cancellationToken = default
    )
    {
        if (Current is not null)
        {
            return Ended(await operation(Context, state, cancellationToken).ConfigureAwait(false));
        }

        var outer = Begin();
        try
        {
            try
            {
                return Ended(await operation(Context, state, cancellationToken).ConfigureAwait(false));
            }
            catch (Exception e)
                when (!cancellationToken.IsCancellationRequested && CallOnWrappedException(e, ShouldRetryOn))
            {
                // The next try is the strategy's.
            }

            return Ended(
                await base.ExecuteAsync(state, operation, verifySucceeded, cancellationToken).ConfigureAwait(false)
            );
        }
        finally
        {
            _mark = outer;
        }
    }

    protected override bool ShouldRetryOn(Exception? exception)
    {
        if (exception is null)
        {
            return false;
        }

        var isRolledBack = RolledBack.Is(exception);
        if (
            base.ShouldRetryOn(exception)
            && !AmbientScope.IsPresent
            && Transactions.CurrentTransaction is null
            && (
                Lease.IsReadOnly
                || !(isRolledBack ? Lease.Progress.HasCommitted(_mark) : Lease.Progress.HasWritten(_mark))
            )
        )
        {
            // Nothing is left of this try.
            _mark = Lease.Progress.Mark(null);
            return true;
        }

        if (!isRolledBack)
        {
            // It may have been done, whatever becomes of the operation that this one is part of.
            Lease.Progress.End();
        }

        return false;
    }

    private TenantLease Lease => field ??= Context.GetService<TenantLease>();

    private IRelationalConnection Transactions => field ??= Context.GetService<IRelationalConnection>();

    // Outside of a transaction what it has written is there to stay.
    private TResult Ended<TResult>(TResult result)
    {
        Lease.Progress.Mark(Transactions.CurrentTransaction);
        return result;
    }

    // What runs within an operation of the application is one itself, and must not hide what was written before it.
    private int Begin()
    {
        var outer = _mark;
        _mark = Lease.Progress.Mark(Transactions.CurrentTransaction);
        return outer;
    }
}
