using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>A server that is some way off: what goes there and comes back is held for a while.</summary>
/// <remarks>
/// Timers of .NET are as fine as the system's coarse clock, 4 ms on many a Linux. Here threads wait, which is exact, and no way to have
/// many callers.
/// </remarks>
internal sealed class DistantServer : IDisposable
{
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
            StartThread(() => Pass(client, server));
            StartThread(() => Pass(server, client));
        }
    }

    private void Pass(Socket from, Socket to)
    {
        using var _ = from;
        using var __ = to;
        var buffer = new byte[65_536];
        while (from.Receive(buffer) is > 0 and var count)
        {
            var received = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(received) < _oneWay)
            {
                Thread.SpinWait(20);
            }

            to.Send(buffer.AsSpan(0, count));
        }
    }
}
