using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>One server of a connection with several.</summary>
/// <param name="number">Its place in the row, 0 for the row's own host.</param>
/// <param name="address">Where it is.</param>
/// <param name="passwords">What sessions of its own log in with.</param>
/// <param name="sessions">Opens sessions of their own there.</param>
internal sealed class RowHost(int number, HostAddress address, PasswordGate passwords, NpgsqlDataSource sessions)
    : IAsyncDisposable,
        IDisposable
{
    private volatile bool _isProbed;
    private volatile KnownRights? _rights;
    private long _heardAt = long.MinValue;

    public int Number => number;

    public HostAddress Address => address;

    /// <summary>Tells this server the password, and no more where it has refused it; the other servers may take it.</summary>
    public PasswordGate Passwords => passwords;

    /// <summary>Whether what stands before it was found to be what the row says.</summary>
    public bool IsProbed
    {
        get => _isProbed;
        set => _isProbed = value;
    }

    /// <summary>What it lets the row's role ask; null where that is not known.</summary>
    public KnownRights? Rights
    {
        get => _rights;
        set => _rights = value;
    }

    /// <summary>What ends the sessions at it, since it is a primary that was replaced; null where it is not.</summary>
    public Task<bool>? Ending { get; set; }

    /// <summary>When it has last answered anybody, a timestamp.</summary>
    public long HeardAt
    {
        get => Interlocked.Read(ref _heardAt);
        set => Interlocked.Exchange(ref _heardAt, value);
    }

    /// <summary>A closed connection to this server, beside the pools.</summary>
    public NpgsqlConnection CreateConnection() => sessions.CreateConnection();

    /// <summary>Forgets that it refuses to tell something: another server may be there by now.</summary>
    public void ForgetRefusedRights()
    {
        if (_rights is { Rights: not HostRights.All })
        {
            _rights = null;
        }
    }

    public ValueTask DisposeAsync() => sessions.DisposeAsync();

    public void Dispose() => sessions.Dispose();
}
