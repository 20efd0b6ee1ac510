using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>A transaction of a tenant's context: not committed at a primary that was replaced, and noted when it is.</summary>
internal sealed class TenantTransaction(
    IRelationalConnection connection,
    DbTransaction transaction,
    Guid transactionId,
    IDiagnosticsLogger<DbLoggerCategory.Database.Transaction> logger,
    bool transactionOwned,
    ISqlGenerationHelper sqlGenerationHelper
) : RelationalTransaction(connection, transaction, transactionId, logger, transactionOwned, sqlGenerationHelper)
{
    private TenantLease Lease => Connection.Context.GetService<TenantLease>();

    public override void Commit()
    {
        Lease.ThrowIfReplaced();
        try
        {
            base.Commit();
        }
        catch (Exception e) when (!RolledBack.Is(e))
        {
            // It may have been committed.
            Lease.Progress.End();
            throw;
        }

        Lease.Progress.End();
    }

    public override async Task CommitAsync(CancellationToken cancellationToken = default)
    {
        Lease.ThrowIfReplaced();
        try
        {
            await base.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!RolledBack.Is(e))
        {
            Lease.Progress.End();
            throw;
        }

        Lease.Progress.End();
    }

    /// <summary>Makes those of EF.</summary>
    internal sealed class Factory(RelationalTransactionFactoryDependencies dependencies)
        : RelationalTransactionFactory(dependencies)
    {
        public override RelationalTransaction Create(
            IRelationalConnection connection,
            DbTransaction transaction,
            Guid transactionId,
            IDiagnosticsLogger<DbLoggerCategory.Database.Transaction> logger,
            bool transactionOwned
        )
        {
            var made = new TenantTransaction(
                connection,
                transaction,
                transactionId,
                logger,
                transactionOwned,
                Dependencies.SqlGenerationHelper
            );

            // Whoever began another one commits it, and does not tell.
            var lease = connection.Context.GetService<TenantLease>();
            lease.Progress.Note(
                transactionOwned ? made : null,
                writes: !transactionOwned,
                mayCommit: !transactionOwned
            );
            return made;
        }
    }
}
