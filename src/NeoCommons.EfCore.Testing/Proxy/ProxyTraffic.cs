namespace NeoCommons.EfCore.Testing;

/// <summary>What all connections of a proxy share: the counters, the delays and the two gates.</summary>
internal sealed class ProxyTraffic(TimeProvider time)
{
    private readonly Lock _lock = new();
    private long _roundTrips;
    private long _bytesToServer;
    private long _bytesToClient;
    private long _connections;
    private long _latencyTicks;
    private long _jitterTicks;
    private int _pieceSize = ProxyConnection.BufferSize;
    private Interruption? _interruption;

    public TimeProvider Time => time;

    public Gate ToServer { get; } = new();

    public Gate ToClient { get; } = new();

    public TimeSpan Latency
    {
        get => new(Interlocked.Read(ref _latencyTicks));
        set => Interlocked.Exchange(ref _latencyTicks, value.Ticks);
    }

    public TimeSpan Jitter
    {
        get => new(Interlocked.Read(ref _jitterTicks));
        set => Interlocked.Exchange(ref _jitterTicks, value.Ticks);
    }

    public int PieceSize
    {
        get => Volatile.Read(ref _pieceSize);
        set => Volatile.Write(ref _pieceSize, value);
    }

    /// <summary>Waits for one piece of data from now on; null for none. What waited before is given up.</summary>
    public void Interrupt(Interruption? interruption) =>
        Interlocked.Exchange(ref _interruption, interruption)?.GiveUp();

    /// <summary>A piece is about to be passed on.</summary>
    public Task PassAsync(ProxyDirection direction) =>
        Volatile.Read(ref _interruption)?.PassAsync(direction) ?? Task.CompletedTask;

    /// <summary>How long the bytes that arrive now are held.</summary>
    public TimeSpan NextDelay() => Latency + (Jitter * Random.Shared.NextDouble());

    public void CountConnection()
    {
        lock (_lock)
        {
            _connections++;
        }
    }

    public void CountToServer(int bytes)
    {
        lock (_lock)
        {
            _bytesToServer += bytes;
        }
    }

    public void CountToClient(int bytes, bool endsTurn)
    {
        lock (_lock)
        {
            _bytesToClient += bytes;
            _roundTrips += endsTurn ? 1 : 0;
        }
    }

    public TcpProxyCounters Read(int open, bool reset = false)
    {
        lock (_lock)
        {
            var now = new TcpProxyCounters(_roundTrips, _bytesToServer, _bytesToClient, _connections, open);
            if (reset)
            {
                _roundTrips = _bytesToServer = _bytesToClient = _connections = 0;
            }

            return now;
        }
    }
}
