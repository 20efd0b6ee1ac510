using System.Data;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The connection of a context of shared tables, bound to nobody: a service of the context's own scope.</summary>
internal sealed class SharedLease : IDisposable
{
    private PooledDataSource? _source;
    private ConnectionOpening? _opening;
    private SearchPath? _searchPath;
    private NpgsqlConnection? _connection;
    private PhysicalConnection? _physical;
    private readonly ConnectionPermits _permits = new();
    private bool _isOpening;

    // In a TransactionScope the driver hands on the physical connection, search path and all, that a tenant's context has
    // just closed.
    private SessionStatement? Bind =>
        !AmbientScope.IsPresent ? null : _searchPath!.Nobody.Statement(inTransaction: true);

    /// <summary>Gives the context its connection, and takes over the source's lease.</summary>
    public void Begin(DbContext context, PooledDataSource source, SearchPath searchPath, ConnectionOpening opening)
    {
        _connection = source.Source.CreateConnection();
        _connection.StateChange += OnStateChange;
        context.GetService<IRelationalConnection>().SetDbConnection(_connection, contextOwnsConnection: true);
        _searchPath = searchPath;
        _opening = opening;
        _source = source;
    }

    /// <summary>Opens the context's connection.</summary>
    /// <exception cref="InvalidOperationException">The context has no database, or this is not its connection.</exception>
    public async ValueTask OpenAsync(DbConnection connection, bool async, CancellationToken ct)
    {
        if (_source is null || !ReferenceEquals(connection, _connection))
        {
            throw new InvalidOperationException(
                _source is null
                    ? "This context of shared tables has no database. Make contexts with ISharedDbContextFactory<T>, which takes the "
                        + "name of a registered connection."
                    : "The connection of this context was exchanged. Make another context instead of calling SetDbConnection."
            );
        }

        _source.ThrowIfInScope(null);
        _isOpening = true;
        try
        {
            Use(await _opening!.OpenAsync(_connection, _source, _permits, Bind, async, ct).ConfigureAwait(false));
        }
        finally
        {
            _isOpening = false;
        }
    }

    public void Dispose()
    {
        // The lease ends when the connection is back in its pool, and EF may close it later than this.
        _connection?.Dispose();
        _permits.End();
        Interlocked.Exchange(ref _source, null)?.Release();
    }

    private void OnStateChange(object sender, StateChangeEventArgs change)
    {
        if (change.CurrentState == ConnectionState.Open)
        {
            if (!_isOpening)
            {
                // Opened by the application, or by Dapper for it.
                _source!.ThrowIfInScope(null);
                Use(_opening!.Bind(_connection!, _source, _permits, Bind));
            }
        }
        else if (Interlocked.Exchange(ref _physical, null) is { } physical)
        {
            _opening!.EndUse(_connection!, physical, _source!, _permits);
        }
    }

    // When it is closed, the session is another one's already: the mark is set before.
    private void Use(PhysicalConnection physical)
    {
        physical.NeedsReset |= _source!.OwnsReset;
        _physical = physical;
    }
}
