using System.Text;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>One registered PostgreSQL database and how to connect to it.</summary>
/// <remarks>
/// An immutable snapshot of a row of <c>admin.database_connections</c>, compared by value. A row is data from outside:
/// it is checked when its pool is built, and a bad one makes this connection unavailable and no other.
/// </remarks>
public sealed record DatabaseConnection
{
    /// <summary>The unique name, by which tenants and applications refer to the connection.</summary>
    public required string Name { get; init; }

    /// <summary>What the database is used for. <value>Default: <see cref="ConnectionType.Shared"/>.</value></summary>
    public ConnectionType Type { get; init; } = ConnectionType.Shared;

    /// <summary>The region, or null where regions are not used.</summary>
    public string? RegionId { get; init; }

    /// <summary>One host name or IP address; no list, no socket path.</summary>
    public required string Host { get; init; }

    /// <summary>
    /// Further servers that replicate the host or take its place, with the same database and credentials. <value>Default:
    /// <see cref="ReplicaHosts.None"/>.</value> Writes go to the one that is primary, reads of read-only contexts to standbys.
    /// </summary>
    public ReplicaHosts ReplicaHosts { get; init; } = ReplicaHosts.None;

    /// <summary>The TCP port. <value>Default: 5432.</value></summary>
    public int Port { get; init; } = NpgsqlConnection.DefaultPort;

    /// <summary>The database name.</summary>
    public required string Database { get; init; }

    /// <summary>The role to log in as.</summary>
    public required string Username { get; init; }

    /// <summary>The password. It is asked for at every physical open: a change does not rebuild the pool.</summary>
    public required Secret Password { get; init; }

    /// <summary>
    /// How TLS is used. <value>Default: <see cref="SslMode.Require"/>, which encrypts and does not check the server's
    /// certificate.</value>
    /// </summary>
    public SslMode SslMode { get; init; } = SslMode.Require;

    /// <summary>Connections that the pool keeps when idle ones are pruned. <value>Default: 5.</value></summary>
    /// <remarks>The pool is lazy: it opens a connection when one is needed, never ahead.</remarks>
    public int MinPoolSize { get; init; } = 5;

    /// <summary>The most connections that this process opens to the database. <value>Default: 20.</value></summary>
    public int MaxPoolSize { get; init; } = 20;

    /// <summary>How long to wait for a free connection, or for a new one to open. <value>Default: 30 s; whole seconds.</value></summary>
    public TimeSpan PoolTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The age at which a connection is replaced when it comes back to the pool. <value>Default: 1 h; whole seconds;
    /// zero: never.</value> It also bounds the catalog memory that a backend gathers by visiting many schemas.
    /// </summary>
    public TimeSpan PoolRecycle { get; init; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Whether a connection that sat idle longer than <see cref="ConnectionOptions.PrePingAfter"/> is tried before it is
    /// handed out, and replaced if it is dead. <value>Default: true.</value>
    /// </summary>
    public bool PrePing { get; init; } = true;

    /// <summary>The pooler before the database. <value>Default: <see cref="PoolerMode.None"/>.</value></summary>
    public PoolerMode Pooler { get; init; }

    /// <summary>Whether the connection may be used. <value>Default: true.</value></summary>
    public bool IsActive { get; init; } = true;

    /// <summary>
    /// The name of another connection, to the same data, that is used while this one fails. <value>Default: null, none.</value>
    /// It has no tenants of its own.
    /// </summary>
    public string? FailoverConnection { get; init; }

    /// <summary>
    /// Whether writes too go to <see cref="FailoverConnection"/>. <value>Default: false, reads of read-only contexts only.</value>
    /// </summary>
    public bool FailoverWrites { get; init; }

    /// <summary>
    /// Whether a pool built for the other row serves this one too: all is equal but the password, which is asked for at
    /// each open, and what only describes the database or what becomes of it when it fails.
    /// </summary>
    internal bool HasSamePoolAs(DatabaseConnection other) =>
        other with
        {
            Password = Password,
            Type = Type,
            RegionId = RegionId,
            FailoverConnection = FailoverConnection,
            FailoverWrites = FailoverWrites,
        } == this;

    private bool PrintMembers(StringBuilder text)
    {
        text.Append(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{Name}, {Type}, {Username}@{Host}:{Port}/{Database}, ssl {SslMode}, pool {MinPoolSize}-{MaxPoolSize}"
        );
        if (ReplicaHosts.Count > 0)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $", replicas {ReplicaHosts}");
        }

        if (FailoverConnection is not null)
        {
            text.Append(
                System.Globalization.CultureInfo.InvariantCulture,
                $", failover {FailoverConnection}{(FailoverWrites ? " with writes" : "")}"
            );
        }

        return true;
    }
}
