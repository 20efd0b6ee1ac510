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
/// Never within a transaction of the application, which has to begin again as a whole, and not where the driver's connection was taken. A server that cannot be reached is <see cref="ConnectionBreaker"/>'s.
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

    // The application has looked, and what may have been done was not.
    private bool _isUndone;

    /// <summary>Whether operations of the application are executed, in which anything may happen; EF has one of its own.</summary>
    private bool IsOfApplication { get; init; }

    public override bool RetriesOnFailure => false;

    private DbContext Context => Dependencies.CurrentContext.Context;

    /// <summary>The first try is made without what EF needs for more: it costs an operation nothing.</summary>
    public override TResult Execute<TState, TResult>(
        TState state,
        Func<DbContext, TState, TResult> operation,
        Func<DbContext, TState, ExecutionResult<TResult>>? verifySucceeded
    )
    {
        // A try that the strategy has begun is its own to repeat.
        var isPart = Current is not null;
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
                Failed(e);
                if (isPart)
                {
                    throw;
                }

                if (verifySucceeded is not null && CallOnWrappedException(e, ShouldVerifySuccessOn))
                {
                    var done = Execute(state, Noted(verifySucceeded), verifySucceeded: null);
                    if (done.IsSuccessful)
                    {
                        return Ended(done.Result);
                    }
                }

                if (!CallOnWrappedException(e, ShouldRetryOn))
                {
                    throw;
                }
            }

            return Ended(base.Execute(state, operation, verifySucceeded is null ? null : Noted(verifySucceeded)));
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
        var isPart = Current is not null;
        var outer = Begin();
        try
        {
            try
            {
                return Ended(await operation(Context, state, cancellationToken).ConfigureAwait(false));
            }
            catch (Exception e)
            {
                Failed(e);
                if (isPart || cancellationToken.IsCancellationRequested)
                {
                    throw;
                }

                if (verifySucceeded is not null && CallOnWrappedException(e, ShouldVerifySuccessOn))
                {
                    var done = await ExecuteAsync(state, Noted(verifySucceeded), null, cancellationToken)
                        .ConfigureAwait(false);
                    if (done.IsSuccessful)
                    {
                        return Ended(done.Result);
                    }
                }

                if (!CallOnWrappedException(e, ShouldRetryOn))
                {
                    throw;
                }
            }

            var noted = verifySucceeded is null ? null : Noted(verifySucceeded);
            return Ended(await base.ExecuteAsync(state, operation, noted, cancellationToken).ConfigureAwait(false));
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

        var isUndone = _isUndone;
        _isUndone = false;
        if (IsOver(exception) && (isUndone || Lease.IsHeldReadOnly || !IsLeft(RolledBack.Is(exception))))
        {
            // Nothing is left of this try.
            _mark = Lease.Progress.Mark(null);
            return true;
        }

        Failed(exception);
        return false;
    }

    /// <summary>Only the application knows what became of a commit whose answer was lost.</summary>
    protected override bool ShouldVerifySuccessOn(Exception? exception) =>
        exception is not null && IsOver(exception) && !RolledBack.Is(exception);

    private TenantLease Lease => field ??= Context.GetService<TenantLease>();

    private IRelationalConnection Transactions => field ??= Context.GetService<IRelationalConnection>();

    // It passes, and no transaction of somebody else is open, which has to begin again as a whole.
    private bool IsOver(Exception exception) =>
        (base.ShouldRetryOn(exception) || PoolerAnswer.Passes(exception))
        && !AmbientScope.IsPresent
        && Transactions.CurrentTransaction is null;

    // Whether something may be left of what this try has written.
    private bool IsLeft(bool isRolledBack) =>
        (IsOfApplication && Lease.Progress.IsTaken)
        || (isRolledBack ? Lease.Progress.HasCommitted(_mark) : Lease.Progress.HasWritten(_mark));

    // Unless it was rolled back it may have been done, whatever becomes of the operation that this one is part of.
    private void Failed(Exception exception)
    {
        if (!CallOnWrappedException(exception, RolledBack.Is))
        {
            Lease.Progress.End();
        }
    }

    // It only reads, and what was written before it is what it asks about: it may be done again itself.
    private void BeginVerifying() => _mark = Lease.Progress.Mark(Transactions.CurrentTransaction);

    private Func<DbContext, TState, ExecutionResult<TResult>> Noted<TState, TResult>(
        Func<DbContext, TState, ExecutionResult<TResult>> verifySucceeded
    ) =>
        (context, state) =>
        {
            BeginVerifying();
            var result = verifySucceeded(context, state);
            _isUndone = !result.IsSuccessful;
            return result;
        };

    private Func<DbContext, TState, CancellationToken, Task<ExecutionResult<TResult>>> Noted<TState, TResult>(
        Func<DbContext, TState, CancellationToken, Task<ExecutionResult<TResult>>> verifySucceeded
    ) =>
        async (context, state, ct) =>
        {
            BeginVerifying();
            var result = await verifySucceeded(context, state, ct).ConfigureAwait(false);
            _isUndone = !result.IsSuccessful;
            return result;
        };

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

    /// <summary>Makes those that <c>Database.CreateExecutionStrategy()</c> hands out.</summary>
    internal sealed class OfApplication(IExecutionStrategyFactory inner, ExecutionStrategyDependencies dependencies)
        : IExecutionStrategyFactory
    {
        public IExecutionStrategy Create() =>
            inner.Create() is var made and not TenantExecutionStrategy
                ? made
                : new TenantExecutionStrategy(dependencies) { IsOfApplication = true };
    }
}
