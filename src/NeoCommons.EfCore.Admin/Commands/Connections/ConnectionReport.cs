namespace NeoCommons.EfCore.Admin;

/// <summary>A registered database as commands show it: without its password.</summary>
internal sealed record ConnectionReport(
    string Name,
    ConnectionType Type,
    string? Region,
    string Host,
    int Port,
    string Database,
    string Username,
    string SslMode,
    PoolerMode Pooler,
    int MinPoolSize,
    int MaxPoolSize,
    bool IsActive,
    bool PasswordIsReadable,
    IReadOnlyList<string> Faults,
    int Tenants,
    IReadOnlyList<string> ReplicaHosts,
    string? FailoverConnection,
    bool FailoverWrites
)
{
    /// <param name="row">The connection.</param>
    /// <param name="options">What rows may hold here.</param>
    /// <param name="tenants">How many tenants it has.</param>
    public static ConnectionReport Of(DatabaseConnection row, ConnectionOptions options, int tenants) =>
        new(
            row.Name,
            row.Type,
            row.RegionId,
            row.Host,
            row.Port,
            row.Database,
            row.Username,
            ColumnText.LibpqSslMode(row.SslMode),
            row.Pooler,
            row.MinPoolSize,
            row.MaxPoolSize,
            row.IsActive,
            row.Password.Fault is null,
            [.. RowValidation.FindFaults(row, options).Select(f => f.Text)],
            tenants,
            row.ReplicaHosts,
            row.FailoverConnection,
            row.FailoverWrites
        );
}
