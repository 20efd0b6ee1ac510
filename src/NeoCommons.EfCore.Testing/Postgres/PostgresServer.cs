using System.Collections.Concurrent;
using System.Security.Cryptography;
using DotNet.Testcontainers.Builders;
using Npgsql;
using Testcontainers.PostgreSql;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// A real PostgreSQL server for tests: an existing one, a throwaway cluster from installed binaries, or a container.
/// </summary>
/// <remarks>
/// <para>
/// Start one per test assembly and create a database per test class: a database takes some tens of milliseconds, a
/// server half a second. Passwords are checked with SCRAM-SHA-256, as in production.
/// </para>
/// <para>
/// A server from installed binaries listens on 127.0.0.1, without TLS. It is stopped and its data are deleted by
/// <see cref="DisposeAsync"/> or at the latest when this process ends; where <c>setpriv</c> exists (Linux) the server
/// dies even when this process is killed, and the next start deletes the data. When this process is root, the server
/// runs as user <c>postgres</c>. All members are safe for concurrent use.
/// </para>
/// </remarks>
public sealed class PostgresServer : IAsyncDisposable
{
    private const string Variable = "NEO_TEST_POSTGRES";

    private readonly NpgsqlConnectionStringBuilder _connection;
    private readonly LocalCluster? _cluster;
    private readonly PostgreSqlContainer? _container;
    private readonly ConcurrentDictionary<string, bool> _created = new(StringComparer.Ordinal);

    private PostgresServer(
        ServerSource source,
        NpgsqlConnectionStringBuilder connection,
        LocalCluster? cluster = null,
        PostgreSqlContainer? container = null
    )
    {
        Source = source;
        _connection = connection;
        _cluster = cluster;
        _container = container;
    }

    /// <summary>Where this server came from.</summary>
    public ServerSource Source { get; }

    /// <summary>The host to connect to; <c>127.0.0.1</c> for a server of our own.</summary>
    public string Host => _connection.Host ?? "localhost";

    /// <summary>The TCP port. It stays the same when the server is stopped and started again.</summary>
    public int Port => _connection.Port;

    /// <summary>The superuser, or the user of the external server's connection string.</summary>
    public string Username => _connection.Username ?? "";

    /// <summary>The password of <see cref="Username"/>.</summary>
    public string Password => _connection.Password ?? "";

    /// <summary>The server's major version, for example 17.</summary>
    public int MajorVersion { get; private set; }

    /// <summary>The data folder of a server of our own; null for any other. It is gone after <see cref="DisposeAsync"/>.</summary>
    public string? DataDirectory => _cluster?.DataDirectory;

    /// <summary>A connection string for the maintenance database (<c>postgres</c>), password included.</summary>
    public string ConnectionString => _connection.ConnectionString;

    /// <summary>Finds or starts a server and waits until it answers.</summary>
    /// <param name="options">What to find or start; null for the defaults.</param>
    /// <param name="ct">Gives up the start; what was started by then is stopped.</param>
    /// <exception cref="ServerNotFoundException">No source is available; the message says what was looked for.</exception>
    /// <exception cref="ServerStartException">A server was found and did not start; the message ends with its log.</exception>
    public static async Task<PostgresServer> StartAsync(
        PostgresServerOptions? options = null,
        CancellationToken ct = default
    )
    {
        options = (options ?? new PostgresServerOptions()).OrThrow();
        var lookedFor = new List<string>();
        Exception? reason = null;
        ServerSource[] sources =
            options.Source is { } forced ? [forced]
            : options.BinDirectory is not null ? [ServerSource.Binaries]
            : Enum.GetValues<ServerSource>();
        foreach (var source in sources)
        {
            try
            {
                var server = source switch
                {
                    ServerSource.External => FindExternal(lookedFor),
                    ServerSource.Binaries => await StartBinariesAsync(options, lookedFor, ct).ConfigureAwait(false),
                    _ => await StartContainerAsync(options, lookedFor, ct).ConfigureAwait(false),
                };
                if (server is not null)
                {
                    return await server.ReadVersionAsync(ct).ConfigureAwait(false);
                }
            }
            catch (DockerUnavailableException e)
            {
                reason = e;
            }
        }

        throw new ServerNotFoundException(
            "PostgreSQL",
            lookedFor,
            $"Install the server (Debian, Ubuntu: apt-get install postgresql), or start Docker, or set {Variable} to the "
                + "connection string of a server on which tests may create and drop databases.",
            reason
        );
    }

    /// <summary>The connection string of another database on this server, password included.</summary>
    /// <param name="database">Its name. It need not exist yet.</param>
    public string GetConnectionString(string database)
    {
        ArgumentException.ThrowIfNullOrEmpty(database);
        return new NpgsqlConnectionStringBuilder(ConnectionString) { Database = database }.ConnectionString;
    }

    /// <summary>Creates a database, empty or as a copy.</summary>
    /// <param name="name">Its name, taken literally; null for a random one.</param>
    /// <param name="template">The database to copy, to which nobody may be connected; null for an empty one.</param>
    /// <param name="ct">Cancels the command.</param>
    /// <returns>The name, for <see cref="GetConnectionString"/>. On an external server <see cref="DisposeAsync"/> drops it.</returns>
    /// <exception cref="PostgresException">The name is taken (42P04), or the user may not create databases (42501).</exception>
    public async Task<string> CreateDatabaseAsync(
        string? name = null,
        string? template = null,
        CancellationToken ct = default
    )
    {
        name ??= "test_" + RandomNumberGenerator.GetHexString(12, lowercase: true);
        await Maintenance.CreateAsync(this, name, template, ct).ConfigureAwait(false);
        _created[name] = true;
        return name;
    }

    /// <summary>Drops a database and ends the connections to it. One that does not exist is not an error.</summary>
    /// <param name="name">Its name, taken literally.</param>
    /// <param name="ct">Cancels the command.</param>
    public async Task DropDatabaseAsync(string name, CancellationToken ct = default)
    {
        await Maintenance.DropAsync(this, name, ct).ConfigureAwait(false);
        _created.TryRemove(name, out _);
    }

    /// <summary>Stops a server of our own and keeps its data. A stopped server is left as it is.</summary>
    /// <param name="immediate">
    /// False: a fast shutdown, which ends every connection with 57P01 and writes a checkpoint. True: as in a crash, the
    /// next start recovers; what was committed is there again.
    /// </param>
    /// <param name="ct">Stops waiting for another stop or start of this server.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    public Task StopAsync(bool immediate = false, CancellationToken ct = default) =>
        Own("stopped").StopAsync(immediate, ct);

    /// <summary>Starts a stopped server of our own, on the same port and data. A running server is left as it is.</summary>
    /// <param name="ct">Gives up waiting.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    /// <exception cref="ServerStartException">It did not start, or somebody else took its port.</exception>
    public Task StartAgainAsync(CancellationToken ct = default) => Own("started again").StartAgainAsync(ct);

    /// <summary>Stops a server of our own and starts it again, on the same port and data.</summary>
    /// <param name="immediate">As in <see cref="StopAsync"/>.</param>
    /// <param name="ct">Gives up waiting; the server may then be stopped.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    /// <exception cref="ServerStartException">It did not start, or somebody else took its port.</exception>
    public async Task RestartAsync(bool immediate = false, CancellationToken ct = default)
    {
        await StopAsync(immediate, ct).ConfigureAwait(false);
        await StartAgainAsync(ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Starts a standby of a server of our own: a server with a copy of its data that follows it by streaming replication, with the
    /// same user, password and settings, on a port of its own.
    /// </summary>
    /// <remarks>
    /// It takes some seconds and needs <c>pg_basebackup</c>. Replication is asynchronous unless <c>ALTER SYSTEM SET
    /// synchronous_standby_names = '*'</c> and a reload say otherwise on this server. Dispose the standby too.
    /// </remarks>
    /// <param name="ct">Gives up the start; what was started by then is stopped.</param>
    /// <exception cref="NotSupportedException">The server is external or a container.</exception>
    /// <exception cref="ServerNotFoundException">There is no <c>pg_basebackup</c>.</exception>
    /// <exception cref="ServerStartException">The data could not be copied, or the standby did not start.</exception>
    public async Task<PostgresServer> StartStandbyAsync(CancellationToken ct = default)
    {
        var standby = await Own("replicated").CreateStandbyAsync(ct).ConfigureAwait(false);
        return new PostgresServer(ServerSource.Binaries, standby.Connection, standby) { MajorVersion = MajorVersion };
    }

    /// <summary>Makes a standby a primary, on a timeline of its own, and waits until it is one.</summary>
    /// <remarks>The server that it followed is not told: stop it before, unless two primaries are what you want to test.</remarks>
    /// <param name="ct">Cancels the command.</param>
    /// <exception cref="PostgresException">The server is no standby (55000).</exception>
    public Task PromoteAsync(CancellationToken ct = default) =>
        Maintenance.ExecuteAsync(ConnectionString, "SELECT pg_promote(true, 60)", ct);

    /// <summary>
    /// Stops a server of our own at once and deletes its data; removes a container; leaves an external server running
    /// and drops the databases that were created on it here.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync().ConfigureAwait(false);
        }
        else if (_container is not null)
        {
            await _container.DisposeAsync().ConfigureAwait(false);
        }
        else
        {
            foreach (var name in _created.Keys)
            {
                await DropDatabaseAsync(name).ConfigureAwait(false);
            }
        }
    }

    private static PostgresServer? FindExternal(List<string> lookedFor)
    {
        lookedFor.Add($"the environment variable {Variable} (not set)");
        return Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } text
            ? new PostgresServer(ServerSource.External, ConnectionUrl.Parse(text))
            : null;
    }

    private static async Task<PostgresServer?> StartBinariesAsync(
        PostgresServerOptions options,
        List<string> lookedFor,
        CancellationToken ct
    )
    {
        if (PostgresBinaries.Find(options.BinDirectory, lookedFor) is not { } binaries)
        {
            return null;
        }

        var cluster = await LocalCluster.CreateAsync(binaries, options, ct).ConfigureAwait(false);
        return new PostgresServer(ServerSource.Binaries, cluster.Connection, cluster);
    }

    private static async Task<PostgresServer> StartContainerAsync(
        PostgresServerOptions options,
        List<string> lookedFor,
        CancellationToken ct
    )
    {
        lookedFor.Add("Docker (no engine answers)");
        var container = new PostgreSqlBuilder(options.ContainerImage)
            .WithUsername(options.Username)
            .WithPassword(options.Password ?? RandomNumberGenerator.GetHexString(32, lowercase: true))
            .WithDatabase("postgres")
            .WithCommand([.. options.ServerArguments()])
            .Build();
        try
        {
            await container.StartAsync(ct).ConfigureAwait(false);
            return new PostgresServer(
                ServerSource.Container,
                new NpgsqlConnectionStringBuilder(container.GetConnectionString()),
                container: container
            );
        }
        catch
        {
            await container.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private LocalCluster Own(string verb) =>
        _cluster
        ?? throw new NotSupportedException(
            $"Only a server from installed binaries can be {verb}; this one is of source {Source}. Start it with "
                + $"{nameof(PostgresServerOptions)}.{nameof(PostgresServerOptions.Source)} = {nameof(ServerSource)}."
                + $"{nameof(ServerSource.Binaries)}."
        );

    private async Task<PostgresServer> ReadVersionAsync(CancellationToken ct)
    {
        try
        {
            MajorVersion = await Maintenance.ReadMajorVersionAsync(ConnectionString, ct).ConfigureAwait(false);
            return this;
        }
        catch
        {
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
