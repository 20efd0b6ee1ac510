using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// Picks loopback ports below the range from which systems take the ports of outgoing connections, so that a server
/// that stops for a moment finds its port free again.
/// </summary>
internal static class Ports
{
    private const int First = 20_000;
    private const int Last = 32_000;

    private static readonly ConcurrentDictionary<int, bool> s_handedOut = new();

    /// <summary>
    /// A port that nobody listens on now. Somebody else can still take it before the caller does: callers try another.
    /// </summary>
    public static int Pick()
    {
        for (var attempt = 0; attempt < 1_000; attempt++)
        {
            var port = Random.Shared.Next(First, Last);
            if (s_handedOut.ContainsKey(port))
            {
                continue;
            }

            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
            }
            catch (SocketException)
            {
                continue;
            }

            if (s_handedOut.TryAdd(port, true))
            {
                return port;
            }
        }

        throw new InvalidOperationException($"Found no free TCP port on 127.0.0.1 between {First} and {Last}.");
    }
}
