using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>The connections of <c>admin.database_connections</c>, answered from a snapshot that is swapped whole.</summary>
/// <remarks>
/// A row that cannot be read is logged and harms no other: what was known of it stays in force, and where nothing was, it
/// counts as not registered.
/// </remarks>
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

            var read = await reads
                .ReadAsync(
                    (db, token) => ConnectionRow.Query(db).OrderBy(c => c.ConnectionName).ToListAsync(token),
                    ct
                )
                .ConfigureAwait(false);
            var audit = new SecretAudit(0, 0);
            var rows = new List<DatabaseConnection>(read.Count);
            foreach (var row in read)
            {
                if ((TryMap(row, ref audit) ?? before?.ByName.GetValueOrDefault(row.ConnectionName)) is { } connection)
                {
                    rows.Add(connection);
                }
            }

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

    private DatabaseConnection? TryMap(ConnectionRow row, ref SecretAudit audit)
    {
        try
        {
            var result = protector.TryUnprotect(row.EncryptedPassword, out var secret);
            audit = audit.With(result);
            return row.ToConnection(
                result == FernetResult.Ok
                    ? Secret.FromText(secret!)
                    : Secret.Unreadable(FernetSecretProtector.Explain(result))
            );
        }
        catch (Exception e)
        {
            RegistryLogMessages.ConnectionRowUnreadable(log, e, row.ConnectionName);
            return null;
        }
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
