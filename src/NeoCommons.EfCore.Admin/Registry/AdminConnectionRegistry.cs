using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>The connections of <c>admin.database_connections</c>, answered from a snapshot that is swapped whole.</summary>
internal sealed class AdminConnectionRegistry(
    AdminReads reads,
    FernetSecretProtector protector,
    ILogger<AdminConnectionRegistry> log
) : IConnectionRegistry, IDisposable
{
    private readonly SemaphoreSlim _loading = new(1);
    private ConnectionSnapshot? _snapshot;

    /// <summary>What decrypting the rows of the last load showed.</summary>
    public SecretAudit Audit { get; private set; } = new(0, 0);

    public async ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        var snapshot = Volatile.Read(ref _snapshot) ?? await LoadAsync(force: false, ct).ConfigureAwait(false);
        return snapshot.ByName.GetValueOrDefault(name);
    }

    public async ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default) =>
        (Volatile.Read(ref _snapshot) ?? await LoadAsync(force: false, ct).ConfigureAwait(false)).All;

    /// <summary>Reads all rows and swaps the snapshot; a failure leaves the old one in force.</summary>
    public Task ReloadAsync(CancellationToken ct) => LoadAsync(force: true, ct);

    public void Dispose() => _loading.Dispose();

    private async Task<ConnectionSnapshot> LoadAsync(bool force, CancellationToken ct)
    {
        await _loading.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            var before = _snapshot;
            if (before is not null && !force)
            {
                return before;
            }

            var entities = await reads
                .ReadAsync((db, token) => db.DatabaseConnections.OrderBy(c => c.ConnectionName).ToListAsync(token), ct)
                .ConfigureAwait(false);
            var audit = new SecretAudit(0, 0);
            var rows = entities.ConvertAll(entity => Map(entity, ref audit));
            var after = before?.With(rows) ?? new ConnectionSnapshot(rows);
            Audit = audit;
            Volatile.Write(ref _snapshot, after);
            LogChanges(before, after);
            return after;
        }
        finally
        {
            _loading.Release();
        }
    }

    private DatabaseConnection Map(DatabaseConnectionEntity entity, ref SecretAudit audit)
    {
        var result = protector.TryUnprotect(entity.EncryptedPassword, out var secret);
        audit = audit.With(result);
        return new DatabaseConnection
        {
            Name = entity.ConnectionName,
            Type = entity.ConnectionType,
            RegionId = entity.RegionId,
            Host = entity.Host,
            Port = entity.Port,
            Database = entity.DatabaseName,
            Username = entity.Username,
            Password =
                result == FernetResult.Ok
                    ? Secret.FromText(secret!)
                    : Secret.Unreadable(FernetSecretProtector.Explain(result)),
            SslMode = entity.SslMode,
            MinPoolSize = entity.PoolMinSize,
            MaxPoolSize = entity.PoolMaxSize,
            PoolTimeout = TimeSpan.FromSeconds(entity.PoolTimeoutSeconds),
            PoolRecycle = TimeSpan.FromSeconds(entity.PoolRecycleSeconds),
            PrePing = entity.PoolPrePing,
            Pooler = entity.Pooler,
            IsActive = entity.IsActive,
        };
    }

    private void LogChanges(ConnectionSnapshot? before, ConnectionSnapshot after)
    {
        foreach (var row in after.All)
        {
            var known = before?.ByName.GetValueOrDefault(row.Name);
            if (ReferenceEquals(known, row))
            {
                continue;
            }

            if (row.Password.Fault is { } fault)
            {
                AdminLogMessages.SecretUnreadable(log, row.Name, fault);
            }
            else if (known is not null)
            {
                AdminLogMessages.ConnectionChanged(log, row.Name);
            }
        }
    }
}
