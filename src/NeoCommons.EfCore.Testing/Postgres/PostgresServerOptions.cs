namespace NeoCommons.EfCore.Testing;

/// <summary>How <see cref="PostgresServer.StartAsync"/> finds or starts a server. Read once, at the start.</summary>
public sealed class PostgresServerOptions
{
    /// <summary>The only source to use.</summary>
    /// <value>Default: null, every source is tried in the order of <see cref="ServerSource"/>.</value>
    public ServerSource? Source { get; set; }

    /// <summary>
    /// The folder of <c>initdb</c> and <c>postgres</c>. Setting it skips the environment variables
    /// <c>NEO_TEST_POSTGRES</c> and <c>NEO_TEST_POSTGRES_BIN</c> and never falls back to another server.
    /// </summary>
    /// <value>Default: null, the newest installed major version.</value>
    public string? BinDirectory { get; set; }

    /// <summary>The superuser of a server of our own or of a container. An external server keeps its own.</summary>
    /// <value>Default: <c>postgres</c>.</value>
    public string Username { get; set; } = "postgres";

    /// <summary>The superuser's password. An external server keeps its own.</summary>
    /// <value>Default: null, a random one for each server.</value>
    public string? Password { get; set; }

    /// <summary>
    /// How many times the superuser's password is hashed when somebody logs in with it, for tests that log in often: at least
    /// once. A password that is not ASCII, an external server and a container keep the server's own.
    /// </summary>
    /// <value>Default: null, the server's own: 4,096 times.</value>
    public int? ScramIterations { get; set; }

    /// <summary>The server's <c>max_connections</c>. An external server keeps its own.</summary>
    /// <value>Default: 200 connections.</value>
    public int MaxConnections { get; set; } = 200;

    /// <summary>
    /// Further server settings, as in <c>postgresql.conf</c>: <c>["wal_level"] = "logical"</c>. They win over our
    /// defaults. An external server keeps its own.
    /// </summary>
    /// <value>
    /// Default: empty, on top of <c>fsync=off</c> and <c>full_page_writes=off</c>: committed data survive the death of the
    /// server, not of the machine; and of <c>autovacuum_naptime=1h</c>: with a database for each test, autovacuum would
    /// start ten processes a second.
    /// </value>
    public IDictionary<string, string> Settings { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The image of <see cref="ServerSource.Container"/>.</summary>
    /// <value>Default: <c>postgres:17-alpine</c>.</value>
    public string ContainerImage { get; set; } = "postgres:17-alpine";

    /// <summary>How long a server of our own may take until it answers.</summary>
    /// <value>Default: 60 seconds. Usual: half a second, the first of a process a second.</value>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>These options, if a server can be started with them.</summary>
    /// <exception cref="ArgumentException">One of them is out of its range.</exception>
    internal PostgresServerOptions OrThrow()
    {
        if (ScramIterations < 1)
        {
            throw new ArgumentException(
                $"ScramIterations is {ScramIterations}: a password is hashed once at least. Leave it out for the server's own number."
            );
        }

        return this;
    }

    internal IEnumerable<string> ServerArguments() =>
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["fsync"] = "off",
            ["full_page_writes"] = "off",
            ["autovacuum_naptime"] = "1h",
            ["max_connections"] = FormattableString.Invariant($"{MaxConnections}"),
        }
            .Where(setting => !Settings.ContainsKey(setting.Key))
            .Concat(Settings)
            .SelectMany(setting => new[] { "-c", $"{setting.Key}={setting.Value}" });
}
