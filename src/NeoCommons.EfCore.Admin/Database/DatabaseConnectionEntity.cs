using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.database_connections</c>. Every column but those without a default here has one in the database.</summary>
public class DatabaseConnectionEntity
{
    /// <summary>The key. <value>Default: made by the database.</value></summary>
    public Guid Id { get; set; }

    /// <summary>The unique name, 1 to 100 characters.</summary>
    public required string ConnectionName { get; set; }

    /// <summary>What the database is used for, in upper case in the column.</summary>
    public ConnectionType ConnectionType { get; set; } = ConnectionType.Shared;

    /// <summary>The region, or null.</summary>
    public string? RegionId { get; set; }

    /// <summary>One host name or IP address.</summary>
    public required string Host { get; set; }

    /// <summary>The TCP port.</summary>
    public int Port { get; set; } = NpgsqlConnection.DefaultPort;

    /// <summary>The database; host (in any letter case), port and database together are unique.</summary>
    public required string DatabaseName { get; set; }

    /// <summary>The role to log in as.</summary>
    public required string Username { get; set; }

    /// <summary>
    /// The password as a Fernet token for this row's host, port, database and user:
    /// <see cref="ISecretProtector.ProtectAsync"/> makes one. A context from the application's services encrypts it anew when one
    /// of the four is changed.
    /// </summary>
    public required string EncryptedPassword { get; set; }

    /// <summary>How TLS is used, in libpq's words in the column: <c>verify-full</c>.</summary>
    public SslMode SslMode { get; set; } = SslMode.Require;

    /// <summary>Connections kept when idle ones are closed.</summary>
    public int PoolMinSize { get; set; } = 5;

    /// <summary>The most connections per process.</summary>
    public int PoolMaxSize { get; set; } = 20;

    /// <summary>How long to wait for a connection, in seconds, 1 to 1024.</summary>
    public int PoolTimeoutSeconds { get; set; } = 30;

    /// <summary>The age at which a connection is replaced, in seconds; 0: never.</summary>
    public int PoolRecycleSeconds { get; set; } = 3600;

    /// <summary>Whether a connection that sat idle is tried before use.</summary>
    public bool PoolPrePing { get; set; } = true;

    /// <summary>The pooler before the database, in lower case in the column.</summary>
    public PoolerMode Pooler { get; set; }

    /// <summary>Whether the connection may be used.</summary>
    public bool IsActive { get; set; } = true;

    /// <summary>The most tenants that are placed here; an explicit choice of the connection is bound by it too.</summary>
    public int MaxTenants { get; set; } = 1_000;

    /// <summary>
    /// The most relations (tables, indexes, sequences, views) the database may hold when a tenant is placed here. Each
    /// costs a server process that visits it about 7 kB, and a dump or drop of many runs out of locks.
    /// </summary>
    public int MaxRelations { get; set; } = 50_000;

    /// <summary>Whether new tenants may be placed here without naming the connection.</summary>
    public bool AcceptsTenants { get; set; } = true;

    /// <summary>
    /// Further servers of the same data, as <see cref="NeoCommons.EfCore.ReplicaHosts.Parse"/> reads them; null: none. The same
    /// database, user and password.
    /// </summary>
    public string? ReplicaHosts { get; set; }

    /// <summary>The name of a connection to the same data, without tenants of its own, that is used while this one fails; or null.</summary>
    public string? FailoverConnection { get; set; }

    /// <summary>Whether writes too go to the failover connection.</summary>
    public bool FailoverWrites { get; set; }

    /// <summary>When the row was made. Set by the database.</summary>
    public DateTimeOffset CreatedAt { get; private set; }

    /// <summary>When the row was changed last. Set by the database.</summary>
    public DateTimeOffset UpdatedAt { get; private set; }
}
