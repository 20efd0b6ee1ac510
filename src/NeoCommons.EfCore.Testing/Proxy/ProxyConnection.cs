using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace NeoCommons.EfCore.Testing;

/// <summary>One client and its connection to the server, with a pump each way.</summary>
/// <remarks>
/// A pump reads into a queue and writes from it, so that a delay costs latency and not throughput. The end of a
/// stream travels through the queue as well: behind a closed gate neither side learns that the other is gone.
/// </remarks>
internal sealed class ProxyConnection(Socket client, ProxyTraffic traffic) : IDisposable
{
    public const int BufferSize = 16 * 1024;

    private const int QueueLength = 64;

    private readonly Socket _server = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly CancellationTokenSource _aborted = new();
    private int _clientSpoke;

    public async Task RunAsync(string host, int port)
    {
        try
        {
            client.NoDelay = true;
            await _server.ConnectAsync(new DnsEndPoint(host, port), _aborted.Token).ConfigureAwait(false);
            await Task.WhenAll(
                    PumpAsync(
                        client,
                        _server,
                        ProxyDirection.ToServer,
                        () => Interlocked.Exchange(ref _clientSpoke, 1),
                        n => traffic.CountToServer(n)
                    ),
                    PumpAsync(
                        _server,
                        client,
                        ProxyDirection.ToClient,
                        null,
                        n => traffic.CountToClient(n, Interlocked.Exchange(ref _clientSpoke, 0) == 1)
                    )
                )
                .ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The server refused, either side broke the connection, or it was cut: both sides end the same way.
            Abort();
        }
    }

    // The token source holds nothing to free, and a cut may still be using it.
    public void Dispose()
    {
        client.Dispose();
        _server.Dispose();
    }

    /// <summary>Resets both sides: they see a connection that broke, not one that was closed.</summary>
    public void Abort()
    {
        _aborted.Cancel();
        Reset(client);
        Reset(_server);
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }

        socket.Dispose();
    }

    private async Task PumpAsync(Socket from, Socket to, ProxyDirection direction, Action? onRead, Action<int> onWrite)
    {
        var queue = Channel.CreateBounded<Held>(QueueLength);
        var reading = ReadAsync(from, queue.Writer, onRead);
        try
        {
            await foreach (var held in queue.Reader.ReadAllAsync(_aborted.Token).ConfigureAwait(false))
            {
                await HoldAsync(held, direction).ConfigureAwait(false);
                if (held.Count == 0)
                {
                    to.Shutdown(SocketShutdown.Send);
                    break;
                }

                // Counted first: whoever received an answer finds it in the counters.
                onWrite(held.Count);
                for (var sent = 0; sent < held.Count; )
                {
                    sent += await to.SendAsync(held.Buffer.AsMemory(sent, held.Count - sent), _aborted.Token)
                        .ConfigureAwait(false);
                }

                ArrayPool<byte>.Shared.Return(held.Buffer);
            }
        }
        catch
        {
            Abort();
            throw;
        }
        finally
        {
            await reading.ConfigureAwait(false);
        }
    }

    private async Task HoldAsync(Held held, ProxyDirection direction)
    {
        var rest = held.Delay - traffic.Time.GetElapsedTime(held.ReadAt);
        if (rest > TimeSpan.Zero)
        {
            // Timers count whole milliseconds and drop the rest: rounding up keeps the promise.
            var wait = TimeSpan.FromMilliseconds(Math.Ceiling(rest.TotalMilliseconds));
            await Task.Delay(wait, traffic.Time, _aborted.Token).ConfigureAwait(false);
        }

        if (held.Count > 0)
        {
            await traffic.PassAsync(direction).ConfigureAwait(false);
        }

        var gate = direction == ProxyDirection.ToServer ? traffic.ToServer : traffic.ToClient;
        await gate.WaitAsync(_aborted.Token).ConfigureAwait(false);
        _aborted.Token.ThrowIfCancellationRequested();
        if (held.Broken is { } broken)
        {
            throw broken;
        }
    }

    private async Task ReadAsync(Socket from, ChannelWriter<Held> queue, Action? onRead)
    {
        try
        {
            while (true)
            {
                var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
                var count = await from.ReceiveAsync(buffer.AsMemory(0, traffic.PieceSize), _aborted.Token)
                    .ConfigureAwait(false);
                if (count > 0)
                {
                    onRead?.Invoke();
                }

                var held = new Held(buffer, count, traffic.Time.GetTimestamp(), traffic.NextDelay(), null);
                await queue.WriteAsync(held, _aborted.Token).ConfigureAwait(false);
                if (count == 0)
                {
                    return;
                }
            }
        }
        catch (SocketException e)
        {
            queue.TryWrite(new Held([], 0, traffic.Time.GetTimestamp(), traffic.NextDelay(), e));
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Cut: the writer learns it from the same token.
        }
        finally
        {
            queue.TryComplete();
        }
    }

    /// <summary>Bytes on their way; none stands for the end of the stream, with the error that broke it, if any.</summary>
    private readonly record struct Held(byte[] Buffer, int Count, long ReadAt, TimeSpan Delay, SocketException? Broken);
}
