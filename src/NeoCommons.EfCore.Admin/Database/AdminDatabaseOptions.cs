namespace NeoCommons.EfCore.Admin;

/// <summary>Where the admin database is and how it is used. Bound from section <c>NeoCommons:AdminDatabase</c>.</summary>
public sealed class AdminDatabaseOptions
{
    /// <summary>
    /// The admin database, as <c>postgresql://user:password@host:5432/database?sslmode=require</c> or as Npgsql keywords.
    /// <value>Default: configuration key <c>ADMIN_DATABASE_URL</c>.</value>
    /// </summary>
    public string? ConnectionString { get; set; }

    /// <summary>
    /// The key, or comma-separated keys, of the passwords in <c>admin.database_connections</c>: the first encrypts, all
    /// decrypt. <value>Default: configuration key <c>DB_ENCRYPTION_KEY</c>.</value>
    /// </summary>
    public string? EncryptionKey { get; set; }

    /// <summary>
    /// A file that holds the keys instead of <see cref="EncryptionKey"/>. On Unix nobody but its owner may have rights on it.
    /// <value>Default: configuration key <c>DB_ENCRYPTION_KEY_FILE</c>.</value>
    /// </summary>
    public string? EncryptionKeyFile { get; set; }

    /// <summary>
    /// Whether a password that is bound to no host, port, database and user is refused: one that Python's <c>cryptography</c>
    /// wrote, for instance. <value>Default: false.</value> <c>keys status</c> counts them and <c>keys rotate</c> binds them;
    /// switch this on when none is left.
    /// </summary>
    public bool RefuseUnboundPasswords { get; set; }

    /// <summary>Whether the application has a source of its own for the keys.</summary>
    internal bool KeysAreElsewhere { get; set; }

    /// <summary>Whether the <c>admin</c> schema is brought up to date when the host starts. <value>Default: false.</value></summary>
    public bool MigrateOnStart { get; set; }

    /// <summary>
    /// How often changes are looked for where no notification comes. <value>Default: 5 s; 100 ms to 1 day.</value>
    /// </summary>
    /// <remarks>Also how long a tenant is answered from memory in a process that follows no changes: one without a host.</remarks>
    public TimeSpan RefreshInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a tenant that is known is still served while the admin database cannot be asked. <value>Default: 1 h; at
    /// least <see cref="RefreshInterval"/>, at most 365 days.</value>
    /// </summary>
    public TimeSpan LastKnownGoodFor { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// How long a process keeps its part of a server's connections after it has died, where processes share them: a third of it
    /// is the interval in which they agree. <value>Default: null, each process takes what the server has; 3 s to 1 h.</value>
    /// </summary>
    /// <remarks>
    /// The server's connections are <see cref="ConnectionOptions.ServerBudget"/>, or what the server says that it has; all
    /// processes together take no more. Each has what it uses and the same part of the rest (docs/quotas.md).
    /// </remarks>
    public TimeSpan? ServerLease { get; set; }

    /// <summary>How many tenants are kept in memory; those used least are dropped. <value>Default: 10,000.</value></summary>
    public int CachedTenants { get; set; } = 10_000;
}
