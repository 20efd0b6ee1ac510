using System.Text.Json.Serialization;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>The columns of <c>admin.database_connections</c> that a connection needs, words as they stand there.</summary>
/// <remarks>
/// Not the entity: a word that only a newer version knows, or a date that .NET cannot hold, would fail the query and with
/// it all rows.
/// </remarks>
internal sealed class ConnectionRow
{
    public required string ConnectionName { get; init; }
    public required string ConnectionType { get; init; }
    public string? RegionId { get; init; }
    public required string Host { get; init; }
    public int Port { get; init; }
    public required string DatabaseName { get; init; }
    public required string Username { get; init; }
    public required string EncryptedPassword { get; init; }
    public required string SslMode { get; init; }
    public int PoolMinSize { get; init; }
    public int PoolMaxSize { get; init; }
    public int PoolTimeoutSeconds { get; init; }
    public int PoolRecycleSeconds { get; init; }
    public bool PoolPrePing { get; init; }
    public required string Pooler { get; init; }
    public bool IsActive { get; init; }
    public string? ReplicaHosts { get; init; }
    public string? FailoverConnection { get; init; }
    public bool FailoverWrites { get; init; }

    /// <summary>Whom its password must have been written for.</summary>
    [JsonIgnore]
    public SecretTarget Target => new(Host, Port, DatabaseName, Username);

    /// <summary>The oldest transaction that was not over when it was read.</summary>
    [JsonIgnore]
    public long Transaction { get; init; }

    [JsonIgnore]
    public DateTimeOffset ServerStartedAt { get; init; }

    /// <summary>What is known to what was read.</summary>
    [JsonIgnore]
    public RowPosition Position => new(ServerStartedAt, Transaction);

    public static IQueryable<ConnectionRow> Query(AdminDbContext db) =>
        db.Database.SqlQuery<ConnectionRow>(
            $"""
            SELECT connection_name AS "ConnectionName", connection_type AS "ConnectionType", region_id AS "RegionId",
                host AS "Host", port AS "Port", database_name AS "DatabaseName", username AS "Username",
                encrypted_password AS "EncryptedPassword", ssl_mode AS "SslMode", pool_min_size AS "PoolMinSize",
                pool_max_size AS "PoolMaxSize", pool_timeout_seconds AS "PoolTimeoutSeconds",
                pool_recycle_seconds AS "PoolRecycleSeconds", pool_pre_ping AS "PoolPrePing", pooler AS "Pooler",
                is_active AS "IsActive", replica_hosts AS "ReplicaHosts", failover_connection AS "FailoverConnection",
                failover_writes AS "FailoverWrites", pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "Transaction",
                pg_postmaster_start_time() AS "ServerStartedAt"
            FROM admin.database_connections
            """
        );

    /// <summary>The connection; fails where a column holds a word that is not known here.</summary>
    public DatabaseConnection ToConnection(Secret password) =>
        new()
        {
            Name = ConnectionName,
            Type = DatabaseConnectionMapping.TypeWords.ConvertFromProviderTyped(ConnectionType),
            RegionId = RegionId,
            Host = Host,
            Port = Port,
            Database = DatabaseName,
            Username = Username,
            Password = password,
            SslMode = DatabaseConnectionMapping.SslModeWords.ConvertFromProviderTyped(SslMode),
            MinPoolSize = PoolMinSize,
            MaxPoolSize = PoolMaxSize,
            PoolTimeout = TimeSpan.FromSeconds(PoolTimeoutSeconds),
            PoolRecycle = TimeSpan.FromSeconds(PoolRecycleSeconds),
            PrePing = PoolPrePing,
            Pooler = DatabaseConnectionMapping.PoolerWords.ConvertFromProviderTyped(Pooler),
            IsActive = IsActive,
            ReplicaHosts = NeoCommons.EfCore.ReplicaHosts.Parse(ReplicaHosts),
            FailoverConnection = FailoverConnection,
            FailoverWrites = FailoverWrites,
        };
}
