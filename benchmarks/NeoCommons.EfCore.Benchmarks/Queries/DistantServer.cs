using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A server that is some way off: what goes there and comes back is held for a while, each piece from when it came.</summary>
/// <remarks>
/// Timers of .NET are as fine as the system's coarse clock, 4 ms on many a Linux. One thread sends all pieces, which are due in the
/// order in which they came: it sleeps by the system's fine clock until shortly before, and then waits without sleeping. It runs in
/// the process that is measured, and what it allocates counts there.
/// </remarks>
internal sealed class DistantServer : IDisposable
{
    private const int PieceSize = 16_384;

    // PR_SET_TIMERSLACK
    private const int TimerSlack = 29;

    // By so much a sleep may be too long: Linux is asked for no more than it needs.
    private static readonly TimeSpan Slack = TimeSpan.FromMicroseconds(OperatingSystem.IsLinux() ? 30 : 150);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly BlockingCollection<Piece> _way = [];
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly string _host;
    private readonly int _port;
    private readonly TimeSpan _oneWay;

    public DistantServer(string host, int port, TimeSpan oneWay)
    {
        (_host, _port, _oneWay) = (host, port, oneWay);
        _listener.Start();
        StartThread(Listen);
        StartThread(Send);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public void Dispose()
    {
        _listener.Dispose();
        _way.CompleteAdding();
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }
    }

    private static void StartThread(Action act) =>
        new Thread(() =>
        {
            try
            {
                act();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
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
            _sockets.Add(client);
            _sockets.Add(server);
            try
            {
                server.Connect(_host, _port);
            }
            catch (SocketException)
            {
                // As the server's own address would have it.
                client.Dispose();
                continue;
            }

            (client.NoDelay, server.NoDelay) = (true, true);
            StartThread(() => Receive(client, server));
            StartThread(() => Receive(server, client));
        }
    }

    private void Receive(Socket from, Socket to)
    {
        int count;
        do
        {
            var bytes = ArrayPool<byte>.Shared.Rent(PieceSize);
            try
            {
                count = from.Receive(bytes);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                count = 0;
            }

            _way.Add(new Piece(Stopwatch.GetTimestamp(), to, bytes, count));
        } while (count > 0);
    }

    private void Send()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = SetOfThread(TimerSlack, nanoseconds: 1, 0, 0, 0);
        }

        foreach (var piece in _way.GetConsumingEnumerable())
        {
            Wait(piece);
            try
            {
                piece.To.Send(piece.Bytes.AsSpan(0, piece.Count));
                if (piece.Count == 0)
                {
                    piece.To.Dispose();
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // Who was to have it has hung up.
            }

            ArrayPool<byte>.Shared.Return(piece.Bytes);
        }
    }

    private void Wait(Piece piece)
    {
        var left = _oneWay - Stopwatch.GetElapsedTime(piece.Received);
        if (left > Slack && !OperatingSystem.IsWindows())
        {
            _ = SleepMicroseconds((uint)(left - Slack).TotalMicroseconds);
        }

        while (Stopwatch.GetElapsedTime(piece.Received) < _oneWay)
        {
            Thread.SpinWait(20);
        }
    }

    [DllImport("libc", EntryPoint = "prctl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetOfThread(int what, nuint nanoseconds, nuint unused1, nuint unused2, nuint unused3);

    [DllImport("libc", EntryPoint = "usleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SleepMicroseconds(uint microseconds);

    /// <summary>What came at once, and when; nothing where the sender has hung up.</summary>
    private readonly record struct Piece(long Received, Socket To, byte[] Bytes, int Count);
}
