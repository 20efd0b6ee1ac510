using System.Data;
using System.Data.Common;
using System.Transactions;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>EF's connection of a tenant's context: to open it is to open what is bound to the tenant, or to fail.</summary>
/// <remarks>
/// Binding in <c>ConnectionOpened</c> fails open: EF leaves the connection open when that throws, and the next command or EF's
/// retry skips the interceptor. Here an exception comes out of the opening itself. An interceptor that opens in EF's place
/// does the same, and has EF make data for four events of each open and close.
/// </remarks>
internal sealed class TenantConnection(RelationalConnectionDependencies dependencies, TenantLease lease)
    : RelationalConnection(dependencies)
{
    public TenantLease Lease => lease;

    protected override bool SupportsAmbientTransactions => true;

    // The provider's own looks for "Enlist=false" in the connection string each time that this is asked for.
    public override Transaction? CurrentAmbientTransaction => lease.Enlists ? Transaction.Current : null;

    // Until there is a tenant, it leads nowhere.
    protected override DbConnection CreateDbConnection() => new NpgsqlConnection(ConnectionString);

    protected override void OpenDbConnection(bool errorsExpected)
    {
        ThrowIfOpen();

        // Not async: the task has completed, and its exception is rethrown.
        lease.OpenAsync(DbConnection, async: false, CancellationToken.None).GetAwaiter().GetResult();
    }

    protected override Task OpenDbConnectionAsync(bool errorsExpected, CancellationToken cancellationToken)
    {
        ThrowIfOpen();
        var opening = lease.OpenAsync(DbConnection, async: true, cancellationToken);
        return opening.IsCompletedSuccessfully ? Task.CompletedTask : opening.AsTask();
    }

    protected override void CloseDbConnection()
    {
        // Not async: the task has completed.
        lease.CloseAsync(async: false).GetAwaiter().GetResult();
        base.CloseDbConnection();
    }

    protected override Task CloseDbConnectionAsync()
    {
        var closing = lease.CloseAsync(async: true);
        return closing.IsCompletedSuccessfully ? base.CloseDbConnectionAsync() : CloseAfterAsync(closing);
    }

    private void ThrowIfOpen()
    {
        if (DbConnection.State == ConnectionState.Open)
        {
            throw new InvalidOperationException(
                "An interceptor of the application has opened the connection of a tenant's context, and EF was to open it too. Return "
                    + "InterceptionResult.Suppress() from ConnectionOpening, or leave the opening to EF."
            );
        }
    }

    private async Task CloseAfterAsync(ValueTask closing)
    {
        await closing.ConfigureAwait(false);
        await base.CloseDbConnectionAsync().ConfigureAwait(false);
    }
}
