using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>A PostgreSQL server of our own: a copy of the template, on a free port of the loopback interface.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    private readonly OwnServer _server;
    private readonly PostgresBinaries _binaries;
    private readonly PostgresServerOptions _options;

    private LocalCluster(
        OwnServer server,
        PostgresBinaries binaries,
        PostgresServerOptions options,
        string dataDirectory,
        NpgsqlConnectionStringBuilder connection
    )
    {
        _server = server;
        _binaries = binaries;
        _options = options;
        DataDirectory = dataDirectory;
        Connection = connection;
    }

    public NpgsqlConnectionStringBuilder Connection { get; }

    public string DataDirectory { get; }

    public static async Task<LocalCluster> CreateAsync(
        PostgresBinaries binaries,
        PostgresServerOptions options,
        CancellationToken ct
    )
    {
        var user = ServerUser.ForCurrentProcess();
        var template = await ClusterTemplate.GetAsync(binaries, options.Username, user).ConfigureAwait(false);
        var directory = InstanceDirectory.Create(user);
        try
        {
            var data = directory.Combine("data");
            await template.CopyToAsync(data, user, ct).ConfigureAwait(false);
            var server = await StartAsync(directory, binaries, user, options, data, ct).ConfigureAwait(false);
            try
            {
                var connection = new NpgsqlConnectionStringBuilder
                {
                    Host = "127.0.0.1",
                    Port = server.Port,
                    Database = "postgres",
                    Username = options.Username,
                    Password = template.Password,
                    SslMode = SslMode.Disable,
                    GssEncryptionMode = GssEncryptionMode.Disable,
                };
                connection.Password = await ChangePasswordAsync(connection, options, ct).ConfigureAwait(false);
                return new LocalCluster(server, binaries, options, data, connection);
            }
            catch
            {
                await server.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Starts a server that replicates this one: a copy of its data, and its WAL from then on.</summary>
    public async Task<LocalCluster> CreateStandbyAsync(CancellationToken ct)
    {
        var user = ServerUser.ForCurrentProcess();
        var directory = InstanceDirectory.Create(user);
        try
        {
            // Not on a command line, which every user of the machine can read; the standby needs it as long as it lives.
            directory.WriteFile("passfile", $"*:*:*:*:{Connection.Password}\n", user);
            var data = directory.Combine("data");
            await Tool.RunAsync(
                    user,
                    directory.Path,
                    ct,
                    _binaries.BaseBackup,
                    $"--dbname=host=127.0.0.1 port={Connection.Port} user={Connection.Username} sslmode=disable passfile={directory.Combine("passfile")}",
                    $"--pgdata={data}",
                    "--write-recovery-conf",
                    "--wal-method=stream",
                    "--checkpoint=fast",
                    "--no-sync"
                )
                .ConfigureAwait(false);
            var server = await StartAsync(directory, _binaries, user, _options, data, ct).ConfigureAwait(false);
            var connection = new NpgsqlConnectionStringBuilder(Connection.ConnectionString) { Port = server.Port };
            return new LocalCluster(server, _binaries, _options, data, connection);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public Task StartAgainAsync(CancellationToken ct) => _server.StartAgainAsync(ct);

    public Task StopAsync(bool immediate, CancellationToken ct) =>
        _server.StopAsync(immediate ? Signal.Quit : Signal.Interrupt, ct);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static Task<OwnServer> StartAsync(
        InstanceDirectory directory,
        PostgresBinaries binaries,
        ServerUser? user,
        PostgresServerOptions options,
        string data,
        CancellationToken ct
    ) =>
        OwnServer.StartAsync(
            directory,
            new ServerRecipe(
                $"PostgreSQL ({binaries.Postgres})",
                user,
                Signal.Quit,
                options.StartTimeout,
                Command(binaries, data, options),
                (_, process) => IsReady(data, process)
            ),
            ct
        );

    private static Func<InstanceDirectory, int, IEnumerable<string>> Command(
        PostgresBinaries binaries,
        string data,
        PostgresServerOptions options
    )
    {
        string[] settings = [.. options.ServerArguments()];
        return (_, port) =>
            [
                binaries.Postgres,
                "-D",
                data,
                "-p",
                port.ToString(CultureInfo.InvariantCulture),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                .. settings,
            ];
    }

    /// <summary>
    /// What pg_ctl waits for: the server's own file names its process and, in the eighth line, its state. Connecting
    /// would prove nothing: the port may belong to somebody else.
    /// </summary>
    private static bool IsReady(string data, ServerProcess process)
    {
        try
        {
            return File.ReadAllLines(Path.Combine(data, "postmaster.pid")) is [var id, _, _, _, _, _, _, var state, ..]
                && id == process.Id.ToString(CultureInfo.InvariantCulture)
                && state.Trim() == "ready";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task<string> ChangePasswordAsync(
        NpgsqlConnectionStringBuilder connection,
        PostgresServerOptions options,
        CancellationToken ct
    )
    {
        var password = options.Password ?? RandomNumberGenerator.GetHexString(32, lowercase: true);
        var stored =
            options.ScramIterations is { } iterations && Ascii.IsValid(password)
                ? ScramVerifier.Of(password, iterations)
                : password;
        var literal = stored.Replace("'", "''", StringComparison.Ordinal);
        await Maintenance
            .ExecuteAsync(connection.ConnectionString, $"ALTER ROLE CURRENT_USER PASSWORD '{literal}'", ct)
            .ConfigureAwait(false);
        return password;
    }
}
