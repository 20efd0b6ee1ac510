using System.Transactions;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore;

/// <summary>Reads a row again when its server does not take what it says.</summary>
/// <param name="registry">Has the rows.</param>
/// <param name="changing">Held by whoever compares a pool with a row.</param>
/// <param name="log">Is told where it cannot be read.</param>
/// <param name="time">The clock.</param>
internal sealed class RowRefresh(IConnectionRegistry registry, SemaphoreSlim changing, ILogger log, TimeProvider time)
{
    /// <summary>Others wait meanwhile to log in, and not for longer than this.</summary>
    private static readonly TimeSpan Timeout = PasswordGate.Patience * 0.8;

    /// <summary>Reads the row again, of which the server does not take the password.</summary>
    /// <param name="source">The pool.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>False where the row is now another pool's, or nobody's.</returns>
    public async Task<bool> RunAsync(PooledDataSource source, CancellationToken ct)
    {
        var name = source.Row.Name;
        using var timeout = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        using var apart = new TransactionScope(
            TransactionScopeOption.Suppress,
            TransactionScopeAsyncFlowOption.Enabled
        );
        try
        {
            await registry.RefreshAsync(name, either.Token).ConfigureAwait(false);
            await changing.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                var row = await registry.FindAsync(name, either.Token).ConfigureAwait(false);
                return TakesOver(source, row);
            }
            finally
            {
                changing.Release();
            }
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // What is known stays in force.
            LogMessages.RowNotRefreshed(log, e, name);
            return true;
        }
    }

    /// <summary>Whether the pool serves what the row says now.</summary>
    /// <remarks>One whose password cannot be read has none to take over, and no new lease.</remarks>
    public static bool TakesOver(PooledDataSource source, DatabaseConnection? row) =>
        row is { IsActive: true } && (row.Password.Fault is not null || source.Serves(row));
}
