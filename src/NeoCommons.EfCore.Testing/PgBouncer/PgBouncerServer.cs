using System.Text;
using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>A PgBouncer in front of a <see cref="PostgresServer"/>, from an installed <c>pgbouncer</c>.</summary>
/// <remarks>
/// It listens on 127.0.0.1, checks passwords with SCRAM-SHA-256 on both sides, and knows every database of the server
/// by its own name. When this process is root, it runs as user <c>postgres</c>. It dies with this process; dispose it
/// before the server. All members are safe for concurrent use.
/// </remarks>
public sealed class PgBouncerServer : IAsyncDisposable
{
    private readonly OwnServer _own;
    private readonly PostgresServer _server;

    private PgBouncerServer(OwnServer own, PostgresServer server, PgBouncerPoolMode poolMode)
    {
        _own = own;
        _server = server;
        PoolMode = poolMode;
    }

    /// <summary>The host to connect to: <c>127.0.0.1</c>.</summary>
    public string Host => "127.0.0.1";

    /// <summary>The TCP port. It stays the same when the pooler is stopped and started again.</summary>
    public int Port => _own.Port;

    /// <summary>When a server connection goes to another client.</summary>
    public PgBouncerPoolMode PoolMode { get; }

    /// <summary>Starts a pooler and waits until it accepts connections.</summary>
    /// <param name="server">The server behind it. It may be stopped and started again while the pooler runs.</param>
    /// <param name="options">How it pools; null for the defaults.</param>
    /// <param name="ct">Gives up the start; what was started by then is stopped.</param>
    /// <exception cref="ServerNotFoundException"><c>pgbouncer</c> is not installed.</exception>
    /// <exception cref="ServerStartException">It did not start; the message ends with its log.</exception>
    public static async Task<PgBouncerServer> StartAsync(
        PostgresServer server,
        PgBouncerServerOptions? options = null,
        CancellationToken ct = default
    )
    {
        ArgumentNullException.ThrowIfNull(server);
        options ??= new PgBouncerServerOptions();
        var binary = Executables.Find("pgbouncer");
        if (binary is null || OperatingSystem.IsWindows())
        {
            throw new ServerNotFoundException(
                "PgBouncer",
                ["'pgbouncer' on PATH and in /usr/sbin"],
                "Install it (Debian, Ubuntu: apt-get install pgbouncer)."
            );
        }

        var user = ServerUser.ForCurrentProcess();
        var recipe = ServerRecipe.ReadyWhenLogged(
            $"PgBouncer ({binary})",
            user,
            "process up: PgBouncer",
            (directory, port) =>
            {
                directory.WriteFile("userlist.txt", UserList(server, options), user);
                directory.WriteFile("pgbouncer.ini", Ini(directory, port, server, options), user);
                return [binary, directory.Combine("pgbouncer.ini")];
            }
        );
        var own = await OwnServer.StartAsync(InstanceDirectory.Create(user), recipe, ct).ConfigureAwait(false);
        return new PgBouncerServer(own, server, options.PoolMode);
    }

    /// <summary>The connection string of a database through the pooler, with the server's user and password.</summary>
    /// <param name="database">Its name on the server.</param>
    /// <remarks>
    /// <c>Pooling</c> and <c>No Reset On Close</c> are Npgsql's defaults. Behind
    /// <see cref="PgBouncerPoolMode.Transaction"/> an application needs more than that: its tests should show it.
    /// </remarks>
    public string GetConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder(_server.GetConnectionString(database))
        {
            Host = Host,
            Port = Port,
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;

    /// <summary>Kills the pooler and with it every connection. A stopped pooler is left as it is.</summary>
    /// <param name="ct">Stops waiting for another stop or start of this pooler.</param>
    public Task StopAsync(CancellationToken ct = default) => _own.StopAsync(Signal.Kill, ct);

    /// <summary>Starts a stopped pooler again on the same port. A running one is left as it is.</summary>
    /// <param name="ct">Gives up waiting.</param>
    /// <exception cref="ServerStartException">It did not start, or somebody else took its port.</exception>
    public Task StartAgainAsync(CancellationToken ct = default) => _own.StartAgainAsync(ct);

    /// <summary>Kills the pooler; the server behind it stays.</summary>
    public ValueTask DisposeAsync() => _own.DisposeAsync();

    // Plain passwords, in a file that only the pooler's user can read: from a SCRAM verifier PgBouncer could check a
    // client, but not log in to the server.
    private static string UserList(PostgresServer server, PgBouncerServerOptions options)
    {
        var list = new StringBuilder();
        foreach (var (name, password) in options.Users.Append(KeyValuePair.Create(server.Username, server.Password)))
        {
            list.Append(Quote(name)).Append(' ').Append(Quote(password)).Append('\n');
        }

        return list.ToString();
    }

    private static string Ini(
        InstanceDirectory directory,
        int port,
        PostgresServer server,
        PgBouncerServerOptions options
    )
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["listen_addr"] = "127.0.0.1",
            ["listen_port"] = FormattableString.Invariant($"{port}"),
            ["unix_socket_dir"] = "",
            ["auth_type"] = "scram-sha-256",
            ["auth_file"] = directory.Combine("userlist.txt"),
            ["pool_mode"] = options.PoolMode == PgBouncerPoolMode.Session ? "session" : "transaction",
            ["max_client_conn"] = "500",
        };
        foreach (var (key, value) in options.Settings)
        {
            settings[key] = value;
        }

        var ini = new StringBuilder("[databases]\n")
            .Append(FormattableString.Invariant($"* = host={server.Host} port={server.Port}\n"))
            .Append("[pgbouncer]\n");
        foreach (var (key, value) in settings)
        {
            ini.Append(key).Append(" = ").Append(value).Append('\n');
        }

        return ini.ToString();
    }

    private static string Quote(string value) => $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
