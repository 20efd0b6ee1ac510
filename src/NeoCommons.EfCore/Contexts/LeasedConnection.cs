using System.Data;
using System.Data.Common;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>The driver's connection of a context; kept, closed, from one lease to the next of the same pool.</summary>
/// <param name="onStateChange">Told when it opens or closes, whoever does that.</param>
internal sealed class LeasedConnection(StateChangeEventHandler onStateChange)
{
    private NpgsqlDataSource? _pool;
    private NpgsqlConnection? _connection;
    private string? _settings;

    /// <summary>The connection; null before the first lease.</summary>
    public NpgsqlConnection? Current => _connection;

    /// <summary>Its pool.</summary>
    public NpgsqlDataSource? Pool => _pool;

    /// <summary>A closed connection of the pool; not one that a lease before was told to lead elsewhere.</summary>
    public NpgsqlConnection Of(NpgsqlDataSource pool)
    {
        if (_connection is { State: ConnectionState.Closed } kept && ReferenceEquals(pool, _pool) && Is(kept))
        {
            return kept;
        }

        Forget();
        _pool = pool;
        _connection = pool.CreateConnection();
        _settings = _connection.ConnectionString;
        _connection.StateChange += onStateChange;
        return _connection;
    }

    /// <summary>Whether this is the connection, and leads where it did.</summary>
    public bool Is(DbConnection? connection) =>
        connection is not null && ReferenceEquals(connection, _connection) && _connection.ConnectionString == _settings;

    /// <summary>Lets go of a connection that somebody else may have.</summary>
    public void Forget()
    {
        if (_connection is not null)
        {
            // Who still has it finds it closed for good.
            _connection.Dispose();
            _connection.StateChange -= onStateChange;
        }

        _pool = null;
        _connection = null;
        _settings = null;
    }
}
