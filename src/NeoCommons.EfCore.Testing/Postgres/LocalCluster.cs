using System.Globalization;
using System.Security.Cryptography;
using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>A PostgreSQL server of our own: a copy of the template, on a free port of the loopback interface.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    private readonly OwnServer _server;

    private LocalCluster(OwnServer server, string dataDirectory, NpgsqlConnectionStringBuilder connection)
    {
        _server = server;
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
            var recipe = new ServerRecipe(
                $"PostgreSQL ({binaries.Postgres})",
                user,
                Signal.Quit,
                options.StartTimeout,
                Command(binaries, data, options),
                (_, process) => IsReady(data, process)
            );
            var server = await OwnServer.StartAsync(directory, recipe, ct).ConfigureAwait(false);
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
                connection.Password = await ChangePasswordAsync(connection, options.Password, ct).ConfigureAwait(false);
                return new LocalCluster(server, data, connection);
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

    public Task StartAgainAsync(CancellationToken ct) => _server.StartAgainAsync(ct);

    public Task StopAsync(bool immediate, CancellationToken ct) =>
        _server.StopAsync(immediate ? Signal.Quit : Signal.Interrupt, ct);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

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
        string? password,
        CancellationToken ct
    )
    {
        password ??= RandomNumberGenerator.GetHexString(32, lowercase: true);
        var literal = password.Replace("'", "''", StringComparison.Ordinal);
        await Maintenance
            .ExecuteAsync(connection.ConnectionString, $"ALTER ROLE CURRENT_USER PASSWORD '{literal}'", ct)
            .ConfigureAwait(false);
        return password;
    }
}
