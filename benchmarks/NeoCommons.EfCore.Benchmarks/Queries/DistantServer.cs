using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A server that is some way off: what goes there and comes back is held for a while, each piece from when it came.</summary>
/// <remarks>
/// Timers of .NET are as fine as the system's coarse clock, 4 ms on many a Linux. Here threads wait, which is exact, and no way to have
/// many callers.
/// </remarks>
internal sealed class DistantServer : IDisposable
{
    private const int PieceSize = 16_384;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly string _host;
    private readonly int _port;
    private readonly TimeSpan _oneWay;

    public DistantServer(string host, int port, TimeSpan oneWay)
    {
        (_host, _port, _oneWay) = (host, port, oneWay);
        _listener.Start();
        StartThread(Listen);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void Dispose() => _listener.Dispose();

    private static void StartThread(Action act) =>
        new Thread(() =>
        {
            try
            {
                act();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // One side has hung up, or the benchmark is over.
            }
        })
        {
            IsBackground = true,
        }.Start();

    private void Listen()
    {
        while (true)
        {
            var client = _listener.AcceptSocket();
            var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
            server.Connect(_host, _port);
            (client.NoDelay, server.NoDelay) = (true, true);
            Pass(client, server);
            Pass(server, client);
        }
    }

    private void Pass(Socket from, Socket to)
    {
        var way = new BlockingCollection<Piece>();
        StartThread(() => Receive(from, way));
        StartThread(() =>
        {
            using var _ = from;
            using var __ = to;
            Send(way, to);
        });
    }

    private static void Receive(Socket from, BlockingCollection<Piece> way)
    {
        try
        {
            while (true)
            {
                var bytes = ArrayPool<byte>.Shared.Rent(PieceSize);
                var count = from.Receive(bytes);
                if (count == 0)
                {
                    return;
                }

                way.Add(new Piece(Stopwatch.GetTimestamp(), bytes, count));
            }
        }
        finally
        {
            way.CompleteAdding();
        }
    }

    private void Send(BlockingCollection<Piece> way, Socket to)
    {
        foreach (var piece in way.GetConsumingEnumerable())
        {
            while (Stopwatch.GetElapsedTime(piece.Received) < _oneWay)
            {
                Thread.SpinWait(20);
            }

            to.Send(piece.Bytes.AsSpan(0, piece.Count));
            ArrayPool<byte>.Shared.Return(piece.Bytes);
        }
    }

    /// <summary>What came at once, and when.</summary>
    private readonly record struct Piece(long Received, byte[] Bytes, int Count);
}
