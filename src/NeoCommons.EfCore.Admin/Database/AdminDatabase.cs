using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The data source of the admin database, built at first use and lasting as long as the host.</summary>
internal sealed class AdminDatabase : IAsyncDisposable, IDisposable
{
    /// <summary>The name of the admin database in messages and metrics.</summary>
    public const string Name = "admin-database";

    private readonly Lazy<NpgsqlDataSource> _source;
    private readonly Lazy<NpgsqlDataSource> _unpooled;
    private readonly Lazy<DatabaseConnection> _row;

    private readonly ConnectionOpening _opening;
    private readonly TimeProvider _time;
    private volatile bool _keepsSessions;

    public AdminDatabase(
        IOptions<AdminDatabaseOptions> options,
        IOptions<ConnectionOptions> connections,
        ConnectionOpening opening,
        TimeProvider time,
        ILoggerFactory loggers
    )
    {
        _opening = opening;
        _time = time;
        _source = new(() => Build(pooled: true));
        _unpooled = new(() => Build(pooled: false));
        _row = new(() => Describe(AdminDatabaseUrl.Parse(options.Value.ConnectionString)));

        NpgsqlDataSource Build(bool pooled)
        {
            var settings = AdminDatabaseUrl.Parse(options.Value.ConnectionString);
            settings.Pooling = pooled;
            settings.Enlist = pooled;
            settings.SearchPath = SchemaName.Unbound;
            if (!settings.ShouldSerialize("GSS Encryption Mode"))
            {
                // As for registered connections: see DataSourceBuilding.
                settings.GssEncryptionMode = GssEncryptionMode.Disable;
            }

            settings.ApplicationName ??= connections.Value.ApplicationName;
            if (settings.SslMode is not (SslMode.VerifyCA or SslMode.VerifyFull))
            {
                settings.RequireAuth ??= connections.Value.RequireAuth;
            }

            var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString) { Name = Name };
            builder.UseLoggerFactory(loggers);
            builder.ConfigureTypeLoading(types =>
                types.SetTypeLoadingSchemas("pg_catalog").EnableTableCompositesLoading(false)
            );
            return builder.Build();
        }
    }

    public NpgsqlDataSource Source => _source.Value;

    /// <summary>For advisory locks: what a session holds ends with the connection.</summary>
    public NpgsqlDataSource Unpooled => _unpooled.Value;

    /// <summary>The admin database as if it were a registered one: for messages, and to see whether a row names it too.</summary>
    public DatabaseConnection Row => _row.Value;

    /// <summary>Whether a registered row is this database, reached as the same role: one transaction can serve both.</summary>
    /// <remarks>Not where the row has several hosts: who takes its writes may change, and this one is not asked.</remarks>
    public bool IsSame(DatabaseConnection row) =>
        row.ReplicaHosts.Count == 0
        && string.Equals(row.Host, Row.Host, StringComparison.OrdinalIgnoreCase)
        && row.Port == Row.Port
        && row.Database == Row.Database
        && row.Username == Row.Username;

    /// <summary>Opens a connection of the pool, with our exceptions.</summary>
    public ValueTask<NpgsqlConnection> OpenAsync(CancellationToken ct) => _opening.OpenNewAsync(Source, Row, ct);

    /// <summary>Opens a connection whose session ends when it is closed, with our exceptions.</summary>
    /// <remarks>
    /// Locks of sessions are what keeps two processes from creating or migrating the same tenant. Behind a pooler in
    /// transaction mode they would be somebody else's, and stay when their session ends.
    /// </remarks>
    /// <exception cref="ConnectionUnavailableException">The database cannot be used, or a session is none.</exception>
    public async ValueTask<NpgsqlConnection> OpenUnpooledAsync(CancellationToken ct)
    {
        var session = await _opening.OpenNewAsync(Unpooled, Row, ct).ConfigureAwait(false);
        try
        {
            if (!_keepsSessions)
            {
                if (
                    await PoolerProbe
                        .IsSharedAsync(session, Unpooled.OpenConnectionAsync, Row, _time, ct)
                        .ConfigureAwait(false)
                )
                {
                    throw new ConnectionUnavailableException(
                        Name,
                        ConnectionUnavailableReason.InvalidConfiguration,
                        "The admin database is reached through a pooler in transaction mode, where the locks by which "
                            + "processes take turns are nobody's. Nothing was changed. Let ADMIN_DATABASE_URL lead to PostgreSQL "
                            + "itself, or to a pooler in session mode."
                    );
                }

                _keepsSessions = true;
            }

            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_source.IsValueCreated)
        {
            await _source.Value.DisposeAsync().ConfigureAwait(false);
        }

        if (_unpooled.IsValueCreated)
        {
            await _unpooled.Value.DisposeAsync().ConfigureAwait(false);
        }
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static DatabaseConnection Describe(NpgsqlConnectionStringBuilder settings) =>
        new()
        {
            Name = Name,
            Type = ConnectionType.Admin,
            Host = settings.Host!,
            Port = settings.Port,
            Database = settings.Database ?? settings.Username!,
            Username = settings.Username!,
            Password = Secret.FromText(settings.Password ?? ""),
            SslMode = settings.SslMode,
            MinPoolSize = settings.MinPoolSize,
            MaxPoolSize = settings.MaxPoolSize,
            PoolTimeout = TimeSpan.FromSeconds(settings.Timeout),
        };
}
