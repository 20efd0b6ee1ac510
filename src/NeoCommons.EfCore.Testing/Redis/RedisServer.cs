using System.Globalization;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// A real Redis for tests: an existing one, a throwaway server from an installed <c>redis-server</c> (or
/// <c>valkey-server</c>), or a container. Nothing is saved to disk.
/// </summary>
/// <remarks>
/// Lifetime and clean-up are those of <see cref="PostgresServer"/>. A server of our own listens on 127.0.0.1. All
/// members are safe for concurrent use.
/// </remarks>
public sealed class RedisServer : IAsyncDisposable
{
    private const string Variable = "NEO_TEST_REDIS";
    private const int DefaultPort = 6379;

    private readonly OwnServer? _own;
    private readonly IContainer? _container;
    private readonly string? _password;

    private RedisServer(
        ServerSource source,
        string host,
        int port,
        string? password,
        OwnServer? own = null,
        IContainer? container = null
    )
    {
        Source = source;
        Host = host;
        Port = port;
        _password = password;
        _own = own;
        _container = container;
    }

    /// <summary>Where this server came from.</summary>
    public ServerSource Source { get; }

    /// <summary>The host to connect to; <c>127.0.0.1</c> for a server of our own.</summary>
    public string Host { get; }

    /// <summary>The TCP port. It stays the same when the server is stopped and started again.</summary>
    public int Port { get; }

    /// <summary>In the form of StackExchange.Redis: <c>host:port</c>, and <c>,password=</c> where there is one.</summary>
    public string ConnectionString =>
        string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}")
        + (_password is null ? "" : $",password={_password}");

    /// <summary>As a URL: <c>redis://host:port</c> or <c>redis://:password@host:port</c>.</summary>
    public string Url =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"redis://{(_password is null ? "" : $":{Uri.EscapeDataString(_password)}@")}{Host}:{Port}"
        );

    /// <summary>Finds or starts a server and waits until it answers.</summary>
    /// <param name="options">What to find or start; null for the defaults.</param>
    /// <param name="ct">Gives up the start; what was started by then is stopped.</param>
    /// <exception cref="ServerNotFoundException">No source is available; the message says what was looked for.</exception>
    /// <exception cref="ServerStartException">A server was found and did not start; the message ends with its log.</exception>
    public static async Task<RedisServer> StartAsync(RedisServerOptions? options = null, CancellationToken ct = default)
    {
        options ??= new RedisServerOptions();
        var lookedFor = new List<string>();
        Exception? reason = null;
        foreach (var source in options.Source is { } forced ? [forced] : Enum.GetValues<ServerSource>())
        {
            try
            {
                var server = source switch
                {
                    ServerSource.External => FindExternal(lookedFor),
                    ServerSource.Binaries => await StartBinaryAsync(options, lookedFor, ct).ConfigureAwait(false),
                    _ => await StartContainerAsync(options, lookedFor, ct).ConfigureAwait(false),
                };
                if (server is not null)
                {
                    return server;
                }
            }
            catch (DockerUnavailableException e)
            {
                reason = e;
            }
        }

        throw new ServerNotFoundException(
            "Redis",
            lookedFor,
            "Install it (Debian, Ubuntu: apt-get install redis-server), or start Docker, or set "
                + $"{Variable} to the address of a server that tests may write to.",
            reason
        );
    }

    /// <summary>Kills a server of our own; its data are lost. A stopped server is left as it is.</summary>
    /// <param name="ct">Stops waiting for another stop or start of this server.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    public Task StopAsync(CancellationToken ct = default) => Own("stopped").StopAsync(Signal.Kill, ct);

    /// <summary>Starts a stopped server of our own on the same port, empty. A running server is left as it is.</summary>
    /// <param name="ct">Gives up waiting.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    /// <exception cref="ServerStartException">It did not start, or somebody else took its port.</exception>
    public Task StartAgainAsync(CancellationToken ct = default) => Own("started again").StartAgainAsync(ct);

    /// <summary>
    /// Halts a server of our own: connections stay open and new ones are accepted by the system, and nothing answers.
    /// </summary>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    public void Freeze() => Own("frozen").Send(Signal.Stop);

    /// <summary>Ends <see cref="Freeze"/>; what was sent meanwhile is answered.</summary>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    public void Unfreeze() => Own("unfrozen").Send(Signal.Continue);

    /// <summary>Kills a server of our own, removes a container, leaves an external server alone.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_own is not null)
        {
            await _own.DisposeAsync().ConfigureAwait(false);
        }
        else if (_container is not null)
        {
            await _container.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static RedisServer? FindExternal(List<string> lookedFor)
    {
        lookedFor.Add($"the environment variable {Variable} (not set)");
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } text)
        {
            return null;
        }

        // redis://:password@host:port, or StackExchange.Redis' host:port,password=secret.
        var parts = text.Split(',', StringSplitOptions.TrimEntries);
        var address = text.Contains("://", StringComparison.Ordinal) ? text : $"redis://{parts[0]}";
        if (!Uri.TryCreate(address, UriKind.Absolute, out var url))
        {
            throw new ArgumentException($"{Variable} is neither redis://host:port nor host:port,password=secret.");
        }

        var password = parts
            .FirstOrDefault(part => part.StartsWith("password=", StringComparison.OrdinalIgnoreCase))
            ?.Split('=', 2)[1];
        var login = url.UserInfo.Split(':', 2);
        return new RedisServer(
            ServerSource.External,
            url.Host,
            url.Port > 0 ? url.Port : DefaultPort,
            login.Length == 2 ? Uri.UnescapeDataString(login[1]) : password
        );
    }

    private static async Task<RedisServer?> StartBinaryAsync(
        RedisServerOptions options,
        List<string> lookedFor,
        CancellationToken ct
    )
    {
        lookedFor.Add("'redis-server' and 'valkey-server' on PATH");
        var binary = Executables.Find("redis-server") ?? Executables.Find("valkey-server");
        if (binary is null || OperatingSystem.IsWindows())
        {
            return null;
        }

        // The password goes into a file: a command line can be read by every user of the machine.
        var password = options.Password is { } secret ? $"requirepass {Quote(secret)}\n" : "";
        var recipe = ServerRecipe.ReadyWhenLogged(
            $"Redis ({binary})",
            user: null,
            "Ready to accept connections",
            (directory, port) =>
            {
                directory.WriteFile(
                    "redis.conf",
                    FormattableString.Invariant($"bind 127.0.0.1\nport {port}\nsave \"\"\nappendonly no\n")
                        + $"dir {Quote(directory.Path)}\n{password}",
                    owner: null
                );
                return [binary, directory.Combine("redis.conf")];
            }
        );
        var own = await OwnServer.StartAsync(InstanceDirectory.Create(owner: null), recipe, ct).ConfigureAwait(false);
        return new RedisServer(ServerSource.Binaries, "127.0.0.1", own.Port, options.Password, own);
    }

    private static async Task<RedisServer> StartContainerAsync(
        RedisServerOptions options,
        List<string> lookedFor,
        CancellationToken ct
    )
    {
        lookedFor.Add("Docker (no engine answers)");
        string[] login = options.Password is { } secret ? ["--requirepass", secret] : [];
        var container = new ContainerBuilder(options.ContainerImage)
            .WithPortBinding(DefaultPort, assignRandomHostPort: true)
            .WithCommand(["redis-server", "--save", "", "--appendonly", "no", .. login])
            .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("Ready to accept connections"))
            .Build();
        try
        {
            await container.StartAsync(ct).ConfigureAwait(false);
            return new RedisServer(
                ServerSource.Container,
                container.Hostname,
                container.GetMappedPublicPort(DefaultPort),
                options.Password,
                container: container
            );
        }
        catch
        {
            await container.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static string Quote(string value) =>
        $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    private OwnServer Own(string verb) =>
        _own
        ?? throw new NotSupportedException(
            $"Only a server from installed binaries can be {verb}; this one is of source {Source}."
        );
}
