using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A listener that poses as PostgreSQL, asks for the password in a given way and keeps all that it hears.</summary>
internal sealed class RogueServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly MemoryStream _heard = new();
    private readonly byte[] _request;
    private readonly X509Certificate2? _certificate;
    private readonly Task _serving;
    private int _clients;

    private RogueServer(byte[] request, X509Certificate2? certificate = null)
    {
        _request = request;
        _certificate = certificate;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _serving = ServeAsync();
    }

    public static byte[] Salt => [1, 2, 3, 4];

    public int Port { get; }

    /// <summary>How many clients said hello.</summary>
    public int Clients => Volatile.Read(ref _clients);

    public byte[] Heard
    {
        get
        {
            lock (_heard)
            {
                return _heard.ToArray();
            }
        }
    }

    /// <summary>AuthenticationCleartextPassword.</summary>
    public static RogueServer AskingInClear() => new([(byte)'R', 0, 0, 0, 8, 0, 0, 0, 3]);

    /// <summary>The same behind TLS, with a certificate of its own making.</summary>
    public static RogueServer AskingInClearOverTls()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=db", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var now = DateTimeOffset.UtcNow;
        return new([(byte)'R', 0, 0, 0, 8, 0, 0, 0, 3], request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1)));
    }

    /// <summary>AuthenticationOk, whoever comes.</summary>
    public static RogueServer LettingAllIn() => new([(byte)'R', 0, 0, 0, 8, 0, 0, 0, 0]);

    /// <summary>AuthenticationMD5Password.</summary>
    public static RogueServer AskingForMd5() => new([(byte)'R', 0, 0, 0, 12, 0, 0, 0, 5, .. Salt]);

    /// <summary>Drops its clients and takes no more.</summary>
    public void HangUp() => _stop.Cancel();

    public async ValueTask DisposeAsync()
    {
        HangUp();
        await _serving;
        _listener.Dispose();
        _stop.Dispose();
        _certificate?.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                try
                {
                    await ServeAsync(client.GetStream());
                }
                catch (Exception e) when (e is IOException or AuthenticationException)
                {
                    // The client has hung up, as it should.
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException) { }
    }

    private async Task ServeAsync(Stream stream)
    {
        const int Tls = 80877103;
        const int Gss = 80877104;
        while (true)
        {
            var length = new byte[4];
            await stream.ReadExactlyAsync(length, _stop.Token);
            var body = new byte[BinaryPrimitives.ReadInt32BigEndian(length) - 4];
            await stream.ReadExactlyAsync(body, _stop.Token);
            Hear(body);
            var code = BinaryPrimitives.ReadInt32BigEndian(body);
            if (code is not (Tls or Gss))
            {
                break;
            }

            if (code == Tls && _certificate is not null)
            {
                await stream.WriteAsync("S"u8.ToArray(), _stop.Token);
                var secured = new SslStream(stream);
                await secured.AuthenticateAsServerAsync(_certificate);
                stream = secured;
                continue;
            }

            await stream.WriteAsync("N"u8.ToArray(), _stop.Token);
        }

        Interlocked.Increment(ref _clients);
        await stream.WriteAsync(_request, _stop.Token);
        var buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, _stop.Token) is var count and > 0)
        {
            Hear(buffer.AsSpan(0, count));
        }
    }

    private void Hear(ReadOnlySpan<byte> bytes)
    {
        lock (_heard)
        {
            _heard.Write(bytes);
        }
    }
}
