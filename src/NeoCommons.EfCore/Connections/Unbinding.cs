using System.Data.Common;
using System.Transactions;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Takes what binds off a connection that is handed on as it is, within a <c>TransactionScope</c>.</summary>
internal static class Unbinding
{
    /// <summary>Takes it off an open connection.</summary>
    public static async ValueTask OfAsync(NpgsqlConnection open, SessionStatement nobody, bool async)
    {
        try
        {
            await DriverCommand
                .ExecuteAsync(open, nobody.Sql, null, async, CancellationToken.None)
                .ConfigureAwait(false);
        }
        catch (DbException)
        {
            // The transaction has failed or the connection is gone: either way nothing more can be executed on it.
        }
    }

    /// <summary>Does the same where the connection was closed already, and its scope goes on.</summary>
    public static void OfHandedOn(NpgsqlDataSource pool, SessionStatement nobody)
    {
        using var same = pool.CreateConnection();
        try
        {
            // The driver gives the scope's connection to whoever opens one in it.
            same.Open();
        }
        catch (Exception e)
            when (e is DbException or TransactionException or NotSupportedException or InvalidOperationException)
        {
            // It is gone, and there is no other in this transaction; or the scope is complete, and nobody gets it in there any more.
            return;
        }

        // Not async: the task has completed.
        OfAsync(same, nobody, async: false).GetAwaiter().GetResult();
    }
}
