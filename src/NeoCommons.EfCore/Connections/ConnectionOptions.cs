namespace NeoCommons.EfCore;

/// <summary>How pools are built, for all connections. Bound from section <c>NeoCommons:Connections</c>.</summary>
public sealed class ConnectionOptions
{
    private const int MostPreparedStatements = 10_000;

    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);
    private static readonly TimeSpan LongestLag = TimeSpan.FromHours(1);

    /// <summary>
    /// The authentication methods that a server may ask for while its certificate is not verified, as in Npgsql's
    /// <c>Require Auth</c>. <value>Default: <c>ScramSHA256</c></value>: a server that is not who it should be never gets
    /// the password in clear. For a server with <c>trust</c> or <c>md5</c>, add <c>None</c> or <c>MD5</c>, separated
    /// by commas. Not applied with <c>verify-ca</c> and <c>verify-full</c>.
    /// </summary>
    public string RequireAuth { get; set; } = "ScramSHA256";

    /// <summary>
    /// The hosts that a registered row may name. <value>Default: none is listed, and any host but metadata services and the like
    /// may be named.</value> An entry is a name, <c>*.</c> and a name for every host below it, an address, or a network in CIDR
    /// notation (<c>10.0.0.0/8</c>). A name is compared, never looked up: an address in a row needs an entry of its own.
    /// </summary>
    /// <remarks>Configuration appends to the list. It does not apply to the admin database, which no row names.</remarks>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>
    /// How long a connection may sit idle before it is tried at its next lease, where the row asks for it
    /// (<see cref="DatabaseConnection.PrePing"/>). <value>Default: 500 ms.</value> A busy pool pays nothing.
    /// </summary>
    public TimeSpan PrePingAfter { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a trial may take before the connection counts as dead. <value>Default: 5 s; whole seconds.</value></summary>
    public TimeSpan PrePingTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a connection above the pool's minimum may sit idle before it is closed. <value>Default: 5 min; whole seconds.</value></summary>
    public TimeSpan IdleLifetime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How often idle connections are looked at. <value>Default: 10 s; whole seconds, at most <see cref="IdleLifetime"/>.</value></summary>
    public TimeSpan PruningInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long a replaced or closed pool waits for its leased connections and living contexts. <value>Default: 30 s; at
    /// most 1 day.</value>
    /// </summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a password that the server has refused is not tried again, unless the row has another one by then.
    /// <value>Default: 10 s; 1 s to 1 day.</value> Servers lock roles out that fail too often.
    /// </summary>
    public TimeSpan RefusedPasswordBackOff { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How many tables a connection may serve, of all tenants together, before the pool's connections are replaced, each when it
    /// comes back. <value>Default: 20,000; 0: any number.</value> A context counts the tables and views of its model for each tenant, used or
    /// not, and a raw connection of a tenant ten. The server process behind a connection keeps about 7 kB for each table that it
    /// has used, until it ends: at most 140 MB by default. Where more tenants are active at a time than that serves, each of their
    /// first queries on a new connection takes longer. Not counted behind a pooler.
    /// </summary>
    public int MaxTablesPerConnection { get; set; } = 20_000;

    /// <summary>When callers are refused at once because a connection is out of order.</summary>
    public ConnectionBreakerOptions Breaker { get; } = new();

    /// <summary>
    /// How far a standby may be behind its primary and still serve read-only contexts, where a row names replica hosts.
    /// <value>Default: 10 s; 1 s to 1 hour.</value> One that is further behind serves nobody until it has caught up.
    /// </summary>
    public TimeSpan MaxStandbyLag { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Whether a tenant's read-only contexts see what this process has written for the tenant, where a row names replica hosts.
    /// <value>Default: true</value>: after a write they read from the primary until the standbys have it, or until no primary has
    /// answered a look (2 s) for <see cref="MaxStandbyLag"/>, even if it still takes writes. It costs no round trip.
    /// </summary>
    public bool ReadYourWrites { get; set; } = true;

    /// <summary>
    /// Schemas that follow the tenant's on every tenant's search path, for data and extensions that all tenants of a
    /// database share. <value>Default: none.</value> Never <c>public</c>: whatever lies there would stand in for a table
    /// that a tenant lacks; and never <c>admin</c>, where the registry lies.
    /// </summary>
    /// <remarks>Configuration appends to the list: it takes nothing away that code has put in.</remarks>
    public IList<string> SharedSchemas { get; } = [];

    /// <summary>
    /// Schemas whose types (enums, domains, types of extensions) the driver loads, besides <c>pg_catalog</c> and
    /// <see cref="SharedSchemas"/>. <value>Default: <c>public</c>, where extensions put theirs.</value>
    /// </summary>
    /// <remarks>
    /// Never the tenants' schemas: loading the types of 1,000 of them takes hundreds of milliseconds, and a type of the
    /// same name in two schemas cannot be mapped on one pool. It gives no access to data. Configuration appends to the
    /// list: the default stays in it unless code clears it.
    /// </remarks>
    public IList<string> TypeSchemas { get; } = ["public"];

    /// <summary>
    /// Whether the statement that binds a connection to its tenant travels with the connection's first command, without a
    /// round trip of its own. <value>Default: true.</value> It uses an internal of Npgsql (docs/adr/0009); where that is
    /// missing, and with false, an ordinary <c>SET</c> is executed at each open.
    /// </summary>
    public bool BindWithFirstCommand { get; set; } = true;

    /// <summary>
    /// Whether each tenant's connections take on a role that may use the tenant's schema and no other tenant's, so that a
    /// statement that names another's is refused by PostgreSQL (42501). <value>Default: false.</value> <c>SET ROLE</c>
    /// travels with the search path: no round trip.
    /// </summary>
    /// <remarks>
    /// <para>
    /// The role is <c>neocommons_tenant_&lt;id without hyphens&gt;</c>. Provisioning creates it, and so does each migration
    /// run for tenants that have none yet: migrate all tenants before the application starts with this on, since a session
    /// whose role is missing fails with 22023. The connection's user needs <c>CREATEROLE</c> for that. It owns the schema's
    /// objects as before; migrations run as that user.
    /// </para>
    /// <para>
    /// The role may read and write tables, use sequences and call functions; it creates, alters and drops nothing but
    /// temporary tables. In <see cref="SharedSchemas"/> it reads; grant whatever tenants may write there to
    /// <c>neocommons_tenants</c>, which all the roles are members of.
    /// </para>
    /// <para>
    /// It stops mistakes. SQL that an attacker writes can say <c>RESET ROLE</c>; and views and <c>SECURITY DEFINER</c>
    /// functions in the tenant's own schema have the rights of their owner (docs/adr/0011). Behind a pooler in transaction
    /// mode, which holds no role, contexts are refused.
    /// </para>
    /// </remarks>
    public bool TenantRoles { get; set; }

    /// <summary>When a pooled connection is reset between two leases. <value>Default: <see cref="SessionReset.Always"/>.</value></summary>
    public SessionReset SessionReset { get; set; }

    /// <summary>
    /// How many statements a physical connection keeps prepared, those used most lately; see <see cref="PrepareAfterUses"/>.
    /// <value>Default: 0, none.</value> With <see cref="SchemaBinding.QualifiedNames"/> each tenant's statements
    /// are others, so that hot tenants keep their plans, and this bounds the memory of the backend. With
    /// <see cref="SchemaBinding.SearchPath"/> all tenants share one statement, which the server plans again whenever the
    /// tenant changes. Behind a pooler in transaction mode nothing is prepared.
    /// </summary>
    public int MaxPreparedStatements { get; set; }

    /// <summary>
    /// At which use of a statement a connection prepares it. <value>Default: 5; 1 to 1,000.</value> The driver remembers the uses of the
    /// last 100 statements only (Npgsql 10.0.3): with <see cref="SchemaBinding.QualifiedNames"/> and many tenants who take turns none of them
    /// is ever used five times, and nothing is prepared. There say 1, and in <see cref="MaxPreparedStatements"/> as many as the tenants that
    /// are active at a time have; each takes the server some 10 to 50 kB in each connection.
    /// </summary>
    public int PrepareAfterUses { get; set; } = 5;

    /// <summary>
    /// What the values of <see cref="PoolMetrics"/> that say so look back on. <value>Default: 1 min; 1 s to 1 h.</value> It
    /// slides in steps of a sixth.
    /// </summary>
    public TimeSpan MetricsWindow { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Whether the time of each command is taken, for <see cref="PoolMetrics.ResponseTime"/>. <value>Default: true.</value>
    /// docs/metrics.md says what it costs.
    /// </summary>
    public bool CollectCommandMetrics { get; set; } = true;

    /// <summary>
    /// The most connections that this process has in use at the same time on one server, over all rows with its host and port.
    /// <value>Default: null, what the server has for ordinary users: <c>max_connections</c> without the reserved ones; 1 to
    /// 100,000.</value> More than the server has counts as what it has. Where several processes share a server, give each its part.
    /// </summary>
    public int? ServerBudget { get; set; }

    /// <summary>What tenants may take where their rows do not say.</summary>
    public QuotaOptions Quotas { get; } = new();

    /// <summary>The name shown in <c>pg_stat_activity</c>. <value>Default: null, the name of the host environment's application.</value></summary>
    public string? ApplicationName { get; set; }

    internal IList<Action<Npgsql.NpgsqlDataSourceBuilder>> DataSourceConfigurations { get; } = [];

    /// <summary>Where the contexts of shared tables have them; null where there is no such context.</summary>
    internal string? SchemaOfSharedContexts { get; set; }

    /// <summary>
    /// The schemas that tenants share and may name: those on their path, and that of the shared contexts, which is not, so
    /// that nothing in it stands in for a table that a tenant lacks.
    /// </summary>
    internal IEnumerable<string> AllSharedSchemas =>
        SchemaOfSharedContexts is { } schema ? SharedSchemas.Union([schema]) : SharedSchemas;

    internal IEnumerable<string> FindFaults()
    {
        var seconds = TimeSpan.FromSeconds(1);
        if (IdleLifetime < seconds || PruningInterval < seconds || PruningInterval > IdleLifetime)
        {
            yield return $"NeoCommons:Connections: IdleLifetime is {IdleLifetime} and PruningInterval is {PruningInterval}; "
                + "both must be at least 1 second, and PruningInterval at most IdleLifetime.";
        }

        if (PrePingAfter < TimeSpan.Zero || PrePingTimeout < seconds)
        {
            yield return $"NeoCommons:Connections: PrePingAfter is {PrePingAfter} and PrePingTimeout is {PrePingTimeout}; "
                + "the first must not be negative, the second must be at least 1 second.";
        }

        if (DrainTimeout < TimeSpan.Zero || DrainTimeout > Longest)
        {
            yield return $"NeoCommons:Connections:DrainTimeout is {DrainTimeout}; it must be between 0 and 1 day.";
        }

        if (RefusedPasswordBackOff < seconds || RefusedPasswordBackOff > Longest)
        {
            yield return $"NeoCommons:Connections:RefusedPasswordBackOff is {RefusedPasswordBackOff}; it must be between 1 second and 1 day.";
        }

        if (MetricsWindow < seconds || MetricsWindow > TimeSpan.FromHours(1))
        {
            yield return $"NeoCommons:Connections:MetricsWindow is {MetricsWindow}; it must be between 1 second and 1 hour.";
        }

        if (MaxStandbyLag < seconds || MaxStandbyLag > LongestLag)
        {
            yield return $"NeoCommons:Connections:MaxStandbyLag is {MaxStandbyLag}; it must be between 1 second and 1 hour.";
        }

        if (MaxPreparedStatements is < 0 or > MostPreparedStatements)
        {
            yield return $"NeoCommons:Connections:MaxPreparedStatements is {MaxPreparedStatements}; it must be between 0 and {MostPreparedStatements}.";
        }

        if (PrepareAfterUses is < 1 or > 1_000)
        {
            yield return $"NeoCommons:Connections:PrepareAfterUses is {PrepareAfterUses}; it must be between 1 and 1,000.";
        }

        if (MaxTablesPerConnection < 0)
        {
            yield return $"NeoCommons:Connections:MaxTablesPerConnection is {MaxTablesPerConnection}; it must be 0 or more.";
        }

        if (ServerBudget is < 1 or > 100_000)
        {
            yield return $"NeoCommons:Connections:ServerBudget is {ServerBudget}; it must be between 1 and 100,000, or not be there.";
        }

        foreach (var fault in Quotas.FindFaults())
        {
            yield return fault;
        }

        if (!Enum.IsDefined(SessionReset))
        {
            yield return $"NeoCommons:Connections:SessionReset is {SessionReset}; it must be Always or WhenUsed.";
        }

        foreach (var schema in SharedSchemas.Where(schema => !IsShareable(schema)))
        {
            yield return $"NeoCommons:Connections:SharedSchemas holds '{schema}', which cannot be on a tenant's search path; "
                + "remove it, and move what tenants share to a schema of its own.";
        }

        foreach (var fault in Breaker.FindFaults())
        {
            yield return fault;
        }

        foreach (var rule in AllowedHosts.Where(rule => !HostRules.IsRule(rule)))
        {
            yield return $"NeoCommons:Connections:AllowedHosts holds '{rule}'; an entry is a host name, '*.' and a name, an IP "
                + "address, or a network such as 10.0.0.0/8.";
        }

        if (string.IsNullOrWhiteSpace(RequireAuth) || !IsAuthentication(RequireAuth))
        {
            yield return $"NeoCommons:Connections:RequireAuth is '{RequireAuth}'; name at least one method, separated by commas: "
                + "ScramSHA256, MD5, Password, GSS, SSPI, None.";
        }
    }

    private static bool IsShareable(string schema) =>
        SchemaName.TryParse(schema, out _) && schema != SchemaNaming.AdminSchema;

    private static bool IsAuthentication(string methods)
    {
        try
        {
            _ = new Npgsql.NpgsqlConnectionStringBuilder { RequireAuth = methods };
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
