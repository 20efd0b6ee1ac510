using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// A TCP proxy inside the test process: counts round trips, and makes the network slow, broken or silent on demand.
/// </summary>
/// <remarks>
/// <para>
/// It knows nothing of the protocol, so it serves PostgreSQL, PgBouncer and Redis alike. Bytes are passed on
/// unchanged and in order. All members are safe for concurrent use and act at once, on open connections too.
/// </para>
/// <para>
/// What a round trip is, is defined at <see cref="TcpProxyCounters.RoundTrips"/>. It is what the client waits for, and
/// it is exact for requests that are sent as a whole before they are answered. A request larger than the buffers of
/// the sockets (a long COPY, a batch of megabytes) may be answered while it is still being sent: that counts as more.
/// Opening a connection takes round trips of its own (start-up and SCRAM): open it first, then call
/// <see cref="ResetCounters"/>.
/// </para>
/// </remarks>
public sealed class TcpFaultProxy : IAsyncDisposable
{
    private const int PortAttempts = 5;
    private readonly Lock _lock = new();
    private readonly ProxyTraffic _traffic;
    private readonly ConcurrentDictionary<ProxyConnection, Task> _connections = new();
    private readonly string _serverHost;
    private readonly int _serverPort;
    private Socket _listener;
    private bool _refusing;
    private bool _disposed;

    private TcpFaultProxy(string serverHost, int serverPort, TimeProvider time)
    {
        _serverHost = serverHost;
        _serverPort = serverPort;
        _traffic = new ProxyTraffic(time);
        _listener = BindAnyPort();
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        Listen();
    }

    /// <summary>The host that clients connect to: <c>127.0.0.1</c>.</summary>
    public string Host => "127.0.0.1";

    /// <summary>The TCP port that clients connect to.</summary>
    public int Port { get; }

    /// <summary>How long bytes are held, each way: a round trip takes twice as long. Throughput stays.</summary>
    /// <value>Default: zero. Applies to bytes that arrive from now on.</value>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public TimeSpan Latency
    {
        get => _traffic.Latency;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
            _traffic.Latency = value;
        }
    }

    /// <summary>What is added to <see cref="Latency"/> at the most, evenly distributed, for each piece of data.</summary>
    /// <value>Default: zero.</value>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public TimeSpan Jitter
    {
        get => _traffic.Jitter;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
            _traffic.Jitter = value;
        }
    }

    /// <summary>The most bytes that are passed on at once: longer messages are torn.</summary>
    /// <value>Default, and at the most: 16,384. Applies to bytes that arrive from now on.</value>
    /// <exception cref="ArgumentOutOfRangeException">It is less than 1 or more than 16,384.</exception>
    public int PieceSize
    {
        get => _traffic.PieceSize;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, ProxyConnection.BufferSize);
            _traffic.PieceSize = value;
        }
    }

    /// <summary>What went through until now: a snapshot, consistent in itself.</summary>
    /// <remarks>An answer is counted before it is passed on: who has received it finds it here.</remarks>
    public TcpProxyCounters Counters => _traffic.Read(_connections.Count);

    /// <summary>Starts a proxy on a free port of 127.0.0.1.</summary>
    /// <param name="host">The server's host name or address.</param>
    /// <param name="port">The server's TCP port. Nobody need listen there yet.</param>
    /// <param name="timeProvider">The clock of <see cref="Latency"/>; null for the system's.</param>
    public static TcpFaultProxy Start(string host, int port, TimeProvider? timeProvider = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(host);
        return new TcpFaultProxy(host, port, timeProvider ?? TimeProvider.System);
    }

    /// <summary>The same PostgreSQL connection string through the proxy, without TLS, which would hide the turns.</summary>
    /// <param name="connectionString">A connection string for the server behind the proxy.</param>
    public string GetConnectionString(string connectionString) =>
        new NpgsqlConnectionStringBuilder(connectionString)
        {
            Host = Host,
            Port = Port,
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;

    /// <summary>Sets the counters to zero and returns what they were, in one step.</summary>
    public TcpProxyCounters ResetCounters() => _traffic.Read(_connections.Count, reset: true);

    /// <summary>Breaks every open connection on both sides (TCP reset). New ones are accepted.</summary>
    public void Cut()
    {
        foreach (var connection in _connections.Keys)
        {
            connection.Abort();
        }
    }

    /// <summary>Refuses new connections, as a stopped server does. Open ones stay. Until <see cref="Restore"/>.</summary>
    public void RefuseConnections()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_refusing)
            {
                // Bound but not listening: the system refuses, and nobody else can take the port.
                _listener.Dispose();
                _listener = Bind(Port);
                _refusing = true;
            }
        }
    }

    /// <summary>
    /// Bytes stop flowing while every connection stays open, and new ones are accepted and hear nothing: what a lost
    /// network looks like to both ends. Until <see cref="Restore"/>, which delivers what was held, as TCP would.
    /// </summary>
    /// <param name="direction">
    /// Which way. <see cref="ProxyDirection.ToClient"/> loses the answers to requests that the server still executes:
    /// followed by <see cref="Cut"/>, a commit of which the client never hears.
    /// </param>
    public void Blackhole(ProxyDirection direction = ProxyDirection.Both)
    {
        if (direction.HasFlag(ProxyDirection.ToServer))
        {
            _traffic.ToServer.Close();
        }

        if (direction.HasFlag(ProxyDirection.ToClient))
        {
            _traffic.ToClient.Close();
        }
    }

    /// <summary>Calls back once, before the n-th piece of data from now on: with n = 1, 2, ... everywhere.</summary>
    /// <remarks>A piece is what one read from a socket brings, at most <see cref="PieceSize"/>; it waits for the end of the callback.</remarks>
    /// <param name="number">Which piece, of all connections: 1 for the next.</param>
    /// <param name="direction">Pieces of which way count.</param>
    /// <param name="act">What happens: <see cref="Cut"/>, a cancellation, a statement on another connection.</param>
    /// <returns>Ends as the callback does; canceled by another call or <see cref="Restore"/> before it came to that.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="number"/> is less than 1.</exception>
    public Task BeforePiece(int number, ProxyDirection direction, Func<Task> act)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(number, 1);
        ArgumentNullException.ThrowIfNull(act);
        var interruption = new Interruption(number, direction, act);
        _traffic.Interrupt(interruption);
        return interruption.Ended;
    }

    /// <summary>Ends every fault and callback. Connections that were cut stay cut, and the counters stay.</summary>
    public void Restore()
    {
        Latency = Jitter = TimeSpan.Zero;
        PieceSize = ProxyConnection.BufferSize;
        _traffic.Interrupt(null);
        _traffic.ToServer.Open();
        _traffic.ToClient.Open();
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_refusing)
            {
                Listen();
                _refusing = false;
            }
        }
    }

    /// <summary>Stops listening and breaks every connection.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _disposed = true;
            _listener.Dispose();
        }

        _traffic.Interrupt(null);
        Cut();
        await Task.WhenAll(_connections.Values).ConfigureAwait(false);
    }

    private static Socket BindAnyPort()
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return Bind(Ports.Pick());
            }
            catch (SocketException) when (attempt < PortAttempts)
            {
                // Taken since it was picked.
            }
        }
    }

    private static Socket Bind(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void Listen()
    {
        _listener.Listen();
        _ = AcceptAsync(_listener);
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptAsync().ConfigureAwait(false);
                Serve(client);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was closed: refused or disposed.
        }
    }

    private void Serve(Socket client)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                client.Dispose();
                return;
            }

            _traffic.CountConnection();
            var connection = new ProxyConnection(client, _traffic);
            var ended = new TaskCompletionSource();
            _connections[connection] = ended.Task;
            _ = ServeAsync(connection, ended);
        }
    }

    private async Task ServeAsync(ProxyConnection connection, TaskCompletionSource ended)
    {
        try
        {
            await connection.RunAsync(_serverHost, _serverPort).ConfigureAwait(false);
        }
        finally
        {
            connection.Dispose();
            _connections.TryRemove(connection, out _);
            ended.SetResult();
        }
    }
}
