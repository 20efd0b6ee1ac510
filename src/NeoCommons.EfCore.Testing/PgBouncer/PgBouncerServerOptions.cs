namespace NeoCommons.EfCore.Testing;

/// <summary>How <see cref="PgBouncerServer.StartAsync"/> starts a pooler. Read once, at the start.</summary>
public sealed class PgBouncerServerOptions
{
    /// <summary>When a server connection goes to another client.</summary>
    /// <value>Default: <see cref="PgBouncerPoolMode.Transaction"/>.</value>
    public PgBouncerPoolMode PoolMode { get; set; } = PgBouncerPoolMode.Transaction;

    /// <summary>Further settings of section <c>[pgbouncer]</c>; they win over ours.</summary>
    /// <value>
    /// Default: empty. Interesting: <c>default_pool_size</c> (1 makes clients share one server connection),
    /// <c>ignore_startup_parameters</c>, <c>max_prepared_statements</c> (1.21 and later).
    /// </value>
    public IDictionary<string, string> Settings { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Users besides the superuser who may log in, with their passwords. They must exist on the server.</summary>
    /// <value>Default: empty.</value>
    public IDictionary<string, string> Users { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
