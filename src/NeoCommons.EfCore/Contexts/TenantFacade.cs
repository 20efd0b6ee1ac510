using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Query;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>What <c>context.Database</c> works with: EF's own services, with a look at who takes the connection.</summary>
/// <remarks>
/// EF itself does not go through the facade, so whoever reads the connection here is the application, or Dapper for it.
/// A transaction leads to its connection too.
/// </remarks>
internal sealed class TenantFacade(
    TenantLease lease,
    IDbContextTransactionManager transactionManager,
    IDatabaseCreator databaseCreator,
    IExecutionStrategy executionStrategy,
    IExecutionStrategyFactory executionStrategyFactory,
    ExecutionStrategyDependencies executionStrategyDependencies,
    IEnumerable<IDatabaseProvider> databaseProviders,
    IRelationalCommandDiagnosticsLogger commandLogger,
    IConcurrencyDetector concurrencyDetector,
    IRelationalConnection relationalConnection,
    IRawSqlCommandBuilder rawSqlCommandBuilder,
    ICoreSingletonOptions coreOptions,
    IAsyncQueryProvider queryProvider,
    IAdHocMapper adHocMapper,
    IRelationalTypeMappingSource typeMappingSource
) : IRelationalDatabaseFacadeDependencies
{
    public IDbContextTransactionManager TransactionManager
    {
        get
        {
            lease.Touch();
            return transactionManager;
        }
    }

    public IRelationalConnection RelationalConnection => new WatchedConnection(relationalConnection, lease);
    public IDatabaseCreator DatabaseCreator => databaseCreator;
    public IExecutionStrategy ExecutionStrategy => executionStrategy;
    public IExecutionStrategyFactory ExecutionStrategyFactory { get; } =
        new TenantExecutionStrategy.OfApplication(executionStrategyFactory, executionStrategyDependencies);
    public IEnumerable<IDatabaseProvider> DatabaseProviders => databaseProviders;
    public IRelationalCommandDiagnosticsLogger CommandLogger => commandLogger;
    public IConcurrencyDetector ConcurrencyDetector => concurrencyDetector;
    public IRawSqlCommandBuilder RawSqlCommandBuilder => rawSqlCommandBuilder;
    public ICoreSingletonOptions CoreOptions => coreOptions;
    public IAsyncQueryProvider QueryProvider => queryProvider;
    public IAdHocMapper AdHocMapper => adHocMapper;
    public ITypeMappingSource TypeMappingSource => typeMappingSource;

    IDiagnosticsLogger<DbLoggerCategory.Database.Command> IDatabaseFacadeDependencies.CommandLogger => commandLogger;

    /// <summary>EF's connection; taking the driver's from it touches the lease.</summary>
    private sealed class WatchedConnection(IRelationalConnection inner, TenantLease lease) : IRelationalConnection
    {
        // A command of EF takes the connection, and is bound, before it opens it.
        private bool _isTaken;

        [AllowNull]
        public DbConnection DbConnection
        {
            get
            {
                _isTaken = true;
                lease.Take();
                return inner.DbConnection;
            }
            set => SetDbConnection(value, contextOwnsConnection: false);
        }

        public string? ConnectionString
        {
            get => inner.ConnectionString;
            set => inner.ConnectionString = value;
        }

        public int? CommandTimeout
        {
            get => inner.CommandTimeout;
            set => inner.CommandTimeout = value;
        }

        public IDbContextTransaction? CurrentTransaction => inner.CurrentTransaction;
        public DbContext Context => inner.Context;
        public Guid ConnectionId => inner.ConnectionId;

        public void SetDbConnection(DbConnection? value, bool contextOwnsConnection)
        {
            // EF disposes the one that it had.
            lease.Touch();
            inner.SetDbConnection(value, contextOwnsConnection);
        }

        public bool Open(bool errorsExpected = false)
        {
            var wasOpened = inner.Open(errorsExpected);
            if (wasOpened || _isTaken)
            {
                return wasOpened;
            }

            try
            {
                // Not async: the task has completed, and its exception is rethrown.
                lease.KeepBoundAsync(async: false, CancellationToken.None).GetAwaiter().GetResult();
                return false;
            }
            catch
            {
                inner.Close();
                throw;
            }
        }

        public async Task<bool> OpenAsync(CancellationToken cancellationToken, bool errorsExpected = false)
        {
            var wasOpened = await inner.OpenAsync(cancellationToken, errorsExpected).ConfigureAwait(false);
            if (wasOpened || _isTaken)
            {
                return wasOpened;
            }

            try
            {
                await lease.KeepBoundAsync(async: true, cancellationToken).ConfigureAwait(false);
                return false;
            }
            catch
            {
                await inner.CloseAsync().ConfigureAwait(false);
                throw;
            }
        }

        public bool Close() => inner.Close();

        public Task<bool> CloseAsync() => inner.CloseAsync();

        public IRelationalCommand RentCommand() => inner.RentCommand();

        public void ReturnCommand(IRelationalCommand command) => inner.ReturnCommand(command);

        public IDbContextTransaction BeginTransaction() => inner.BeginTransaction();

        public IDbContextTransaction BeginTransaction(IsolationLevel isolationLevel) =>
            inner.BeginTransaction(isolationLevel);

        public Task<IDbContextTransaction> BeginTransactionAsync(CancellationToken cancellationToken = default) =>
            inner.BeginTransactionAsync(cancellationToken);

        public Task<IDbContextTransaction> BeginTransactionAsync(
            IsolationLevel isolationLevel,
            CancellationToken cancellationToken = default
        ) => inner.BeginTransactionAsync(isolationLevel, cancellationToken);

        public void CommitTransaction() => inner.CommitTransaction();

        public Task CommitTransactionAsync(CancellationToken cancellationToken = default) =>
            inner.CommitTransactionAsync(cancellationToken);

        public void RollbackTransaction() => inner.RollbackTransaction();

        public Task RollbackTransactionAsync(CancellationToken cancellationToken = default) =>
            inner.RollbackTransactionAsync(cancellationToken);

        public IDbContextTransaction? UseTransaction(DbTransaction? transaction) => inner.UseTransaction(transaction);

        public IDbContextTransaction? UseTransaction(DbTransaction? transaction, Guid transactionId) =>
            inner.UseTransaction(transaction, transactionId);

        public Task<IDbContextTransaction?> UseTransactionAsync(
            DbTransaction? transaction,
            CancellationToken cancellationToken = default
        ) => inner.UseTransactionAsync(transaction, cancellationToken);

        public Task<IDbContextTransaction?> UseTransactionAsync(
            DbTransaction? transaction,
            Guid transactionId,
            CancellationToken cancellationToken = default
        ) => inner.UseTransactionAsync(transaction, transactionId, cancellationToken);

        public void ResetState() => inner.ResetState();

        public Task ResetStateAsync(CancellationToken cancellationToken = default) =>
            inner.ResetStateAsync(cancellationToken);

        public void Dispose() => inner.Dispose();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
