using System.Data;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The one connection of a worker, kept from tenant to tenant of a database.</summary>
/// <remarks>
/// A login costs the server more than a small migration. What a session may have kept is discarded in between; after
/// <see cref="Longest"/> tenants it is replaced, since a server process keeps what it knows of every table it has seen.
/// </remarks>
internal sealed class WorkerConnection(TenantDataSources sources, ConnectionOpening opening) : IAsyncDisposable
{
    private const int Longest = 100;

    private NpgsqlConnection? _connection;
    private PooledDataSource? _source;
    private int _uses;
    private bool _isUsed;

    /// <summary>The database that is connected to.</summary>
    public PooledDataSource Source => _source ?? throw new InvalidOperationException("Nothing is open.");

    /// <summary>Gives the connection to a database, as a new session would be.</summary>
    /// <exception cref="ConnectionUnavailableException">The database cannot be used.</exception>
    public async Task<NpgsqlConnection> OpenAsync(string connectionName, CancellationToken ct)
    {
        if (
            _connection is { State: ConnectionState.Open } known
            && _source!.Row.Name == connectionName
            && _uses < Longest
            && IsInForce(_source, known)
        )
        {
            await ResetAsync(ct).ConfigureAwait(false);
            _uses++;
            _isUsed = true;
            return known;
        }

        await DisposeAsync().ConfigureAwait(false);
        _source = await sources.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        _connection = await opening.OpenNewAsync(_source, pooled: false, ct).ConfigureAwait(false);
        (_uses, _isUsed) = (1, true);
        return _connection;
    }

    // The row may have changed since, or its server been replaced.
    private static bool IsInForce(PooledDataSource source, NpgsqlConnection known) =>
        !source.Life.Retiring.IsCancellationRequested
        && source.Hosts?.Guard.RefusalOf(PhysicalConnection.Of(known)) is null;

    /// <summary>Makes the session new again, unless it is: its locks are nobody's then.</summary>
    public async Task ResetAsync(CancellationToken ct)
    {
        if (_isUsed && _connection is { } connection && _source!.Row.Pooler != PoolerMode.Transaction)
        {
            await connection.ExecuteAsync("DISCARD ALL", ct).ConfigureAwait(false);
        }

        _isUsed = false;
    }

    /// <summary>Ends the session; the next use opens another.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync().ConfigureAwait(false);
        }

        _source?.Release();
        _source = null;
    }
}
