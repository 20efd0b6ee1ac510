using System.Data;
using System.Data.Common;
using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which tenant a context belongs to, from its creation to its disposal: a service of the context's own scope.</summary>
internal sealed class TenantLease(IDbContextOptions options) : IResettableService, IDisposable
{
    private readonly SchemaBinding _kind = options.FindExtension<TenantOptionsExtension>()!.Settings.Binding;
    private PooledDataSource? _source;
    private ConnectionOpening? _opening;
    private SearchPath? _searchPath;
    private SessionBinding? _binding;
    private NpgsqlConnection? _connection;
    private string? _connectionString;
    private PhysicalConnection? _physical;
    private bool _isOpening;
    private bool _isTouched;

    /// <summary>The tenant, or null for a context that was made without one, at design time for instance.</summary>
    public Tenant? Tenant { get; private set; }

    private SessionStatement? Bind => _binding!.Statement(inTransaction: Transaction.Current is not null);

    public bool IsReadOnly => _binding is { IsReadOnly: true };

    /// <summary>Gives the context its tenant and its connection, and takes over the source's lease.</summary>
    /// <exception cref="TenantIsolationException">The connection's pooler keeps no search path.</exception>
    public void Begin(
        DbContext context,
        Tenant tenant,
        PooledDataSource source,
        SearchPath searchPath,
        bool readOnly,
        ConnectionOpening opening
    )
    {
        context.GetService<LeaseEnd>().Begin();
        _binding = _kind switch
        {
            SchemaBinding.QualifiedNames => searchPath.Named(tenant, readOnly, source.Row.Pooler),
            _ when source.Row.Pooler == PoolerMode.Transaction => throw new TenantIsolationException(
                $"{context.GetType().Name} is bound by search_path, which the transaction pooler of connection "
                    + $"'{source.Row.Name}' hands from client to client. {PoolerProbe.Remedies}",
                tenant.Id
            ),
            _ => searchPath.To(tenant, readOnly),
        };
        _connection = source.Source.CreateConnection();
        _connectionString = _connection.ConnectionString;
        _connection.StateChange += OnStateChange;
        context.GetService<IRelationalConnection>().SetDbConnection(_connection, contextOwnsConnection: true);
        Tenant = tenant;
        _searchPath = searchPath;
        _opening = opening;
        _source = source;
        _isTouched = readOnly;
    }

    /// <summary>
    /// Notes that something else than EF's own commands runs on the connection, from now until the lease ends: it is reset
    /// before its next lease, and bound again before each of EF's commands.
    /// </summary>
    public void Touch()
    {
        _isTouched = true;
        MarkPhysical();
    }

    /// <summary>Opens the context's connection, bound to the tenant.</summary>
    /// <exception cref="TenantIsolationException">The context has no tenant, or this is not its connection.</exception>
    public async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct)
    {
        if (_source is not { } source)
        {
            throw new TenantIsolationException(
                "This context has no tenant, so it cannot open a connection. Make contexts with "
                    + "ITenantDbContextFactory<T>, or inject them where ITenantContext has a tenant."
            );
        }

        if (!ReferenceEquals(connection, _connection) || _connection.ConnectionString != _connectionString)
        {
            throw new TenantIsolationException(
                $"The connection of this context was exchanged, and the new one is not bound to tenant '{Tenant!.Slug}'. "
                    + "Make another context instead of calling SetDbConnection or SetConnectionString.",
                Tenant.Id
            );
        }

        _isOpening = true;
        try
        {
            _physical = await _opening!.OpenAsync(_connection, source, Bind, async, ct).ConfigureAwait(false);
            if (_isTouched)
            {
                MarkPhysical();
            }
        }
        finally
        {
            _isOpening = false;
        }
    }

    /// <summary>
    /// Before the connection is closed: takes the search path off within a <c>TransactionScope</c>, where the driver hands
    /// it on as it is; and notes a reset that was sent.
    /// </summary>
    public async ValueTask CloseAsync(bool async)
    {
        if (_physical is not { } physical || _connection!.State != ConnectionState.Open)
        {
            return;
        }

        if (!_isTouched && FirstCommand.IsSent(_connection))
        {
            physical.HasBeenReset(isBound: _binding!.StaysInSession);
        }

        if (physical.Scope is not null && Transaction.Current is not null)
        {
            await UnbindAsync(async).ConfigureAwait(false);
        }
    }

    private async ValueTask UnbindAsync(bool async)
    {
        try
        {
            var command = _connection!.CreateCommand();
            await using var _ = command.ConfigureAwait(false);
            command.CommandText = _searchPath!.Nobody.Statement(inTransaction: true)!.Sql;
            if (async)
            {
                await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            }
            else
            {
                command.ExecuteNonQuery();
            }
        }
        catch (DbException)
        {
            // The transaction has failed or the connection is gone: either way nothing more can be executed on it.
        }
    }

    /// <summary>
    /// Lets a command pass, on the connection that this lease has opened and bound, with the tenant's schema in its SQL.
    /// </summary>
    /// <param name="command">The command.</param>
    /// <param name="isForeign">Whether its SQL is not EF's own.</param>
    /// <param name="async">Whether to wait asynchronously, should there be anything to wait for.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="TenantIsolationException">Nothing was executed.</exception>
    public ValueTask PassAsync(DbCommand command, bool isForeign, bool async, CancellationToken ct)
    {
        if (_physical is null || !ReferenceEquals(command.Connection, _connection))
        {
            throw NotBound();
        }

        if (isForeign || _kind == SchemaBinding.QualifiedNames)
        {
            Qualify(command, isForeign);
        }

        // RESET, DISCARD, SET: whatever ran before may have led the session elsewhere.
        var again =
            _isTouched && Bind is { } bind
                ? _opening!.BindAgainAsync(_connection!, bind, async, ct)
                : ValueTask.CompletedTask;
        if (isForeign)
        {
            Touch();
        }

        return again;
    }

    private void Qualify(DbCommand command, bool isForeign)
    {
        var sql = QualifiedSql.For(command.CommandText, Tenant!.Schema);
        if (isForeign || IsReadOnly)
        {
            sql = _binding!.Prefix + sql;
        }

        if (!ReferenceEquals(sql, command.CommandText))
        {
            command.CommandText = sql;
        }
    }

    public void ResetState()
    {
        Closed();
        if (_connection is not null)
        {
            _connection.StateChange -= OnStateChange;
        }

        Interlocked.Exchange(ref _source, null)?.Release();
        _connection = null;
        _connectionString = null;
        _searchPath = null;
        _opening = null;
        _binding = null;
        _isTouched = false;
        Tenant = null;
    }

    public Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        ResetState();
        return Task.CompletedTask;
    }

    public void Dispose() => ResetState();

    private void OnStateChange(object sender, StateChangeEventArgs change)
    {
        if (change.CurrentState != ConnectionState.Open)
        {
            Closed();
        }
        else if (!_isOpening && _opening is { } opening)
        {
            // Opened by the application, or by Dapper for it.
            _physical = opening.Bind(_connection!, _source!, Bind);
            Touch();
        }
    }

    private void Closed()
    {
        if (Interlocked.Exchange(ref _physical, null) is { } physical)
        {
            _opening?.EndUse(physical, _source!);
        }
    }

    private void MarkPhysical()
    {
        if (_physical is { } physical && _source is { OwnsReset: true })
        {
            physical.NeedsReset = true;
        }
    }

    private TenantIsolationException NotBound() =>
        new(
            "The connection of this context was opened or exchanged behind its back, so it is not bound to "
                + (Tenant is null ? "a tenant" : $"tenant '{Tenant.Slug}'")
                + ". Let the context open it, with Database.OpenConnectionAsync() where it must stay open.",
            Tenant?.Id
        );
}
