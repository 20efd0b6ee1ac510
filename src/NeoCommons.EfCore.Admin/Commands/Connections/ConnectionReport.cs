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
    int Tenants
)
{
    public static ConnectionReport Of(DatabaseConnection row, int tenants) =>
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
            tenants
        );
}
