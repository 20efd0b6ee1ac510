using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>One server of a connection with several.</summary>
/// <param name="number">Its place in the row, 0 for the row's own host.</param>
/// <param name="address">Where it is.</param>
/// <param name="sessions">Opens sessions of their own there.</param>
internal sealed class RowHost(int number, HostAddress address, NpgsqlDataSource sessions) : IAsyncDisposable
{
    private volatile bool _isProbed;

    public int Number => number;

    public HostAddress Address => address;

    /// <summary>Whether what stands before it was found to be what the row says.</summary>
    public bool IsProbed
    {
        get => _isProbed;
        set => _isProbed = value;
    }

    /// <summary>A closed connection to this server, beside the pools.</summary>
    public NpgsqlConnection CreateConnection() => sessions.CreateConnection();

    public ValueTask DisposeAsync() => sessions.DisposeAsync();
}
