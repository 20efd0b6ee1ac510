using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>The connections of <c>admin.database_connections</c>, answered from a snapshot that is swapped whole.</summary>
/// <remarks>
/// A row that cannot be read is logged and harms no other: what was known of it stays in force, and where nothing was, it
/// counts as not registered.
/// </remarks>
internal sealed class AdminConnectionRegistry(
    AdminReads reads,
    SharedCache shared,
    TenantCache tenants,
    RecentChanges recent,
    ISecretProtector protector,
    RegistryMetrics metrics,
    IOptions<ConnectionOptions> options,
    TimeProvider time,
    ILogger<AdminConnectionRegistry> log
) : IConnectionRegistry, IDisposable
{
    private const string SharedKey = "{connections}";
    private static readonly TimeSpan FailureLasts = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _loading = new(1);
    private readonly CancellationTokenSource _disposing = new();
    private readonly Lock _starting = new();
    private readonly ChangeListeners<string> _changes = new(log);
    private ConnectionSnapshot? _snapshot;
    private Task<ConnectionSnapshot>? _first;
    private long _firstEnded;
    private StoredPasswords? _passwords;

    /// <summary>What decrypting the rows of the last load showed.</summary>
    public SecretAudit Audit { get; private set; }

    /// <summary>Whether what is known is out of Redis.</summary>
    public bool IsFromOthers { get; private set; }

    /// <summary>Whether passwords are missing that may be had the next time.</summary>
    public bool IsIncomplete => _passwords?.IsIncomplete == true;

    public async ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        var snapshot = Volatile.Read(ref _snapshot) ?? await FirstAsync(ct).ConfigureAwait(false);
        return snapshot.ByName.GetValueOrDefault(name);
    }

    public async ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default) =>
        (Volatile.Read(ref _snapshot) ?? await FirstAsync(ct).ConfigureAwait(false)).All;

    public IDisposable OnChange(Action<string> listener) => _changes.Add(listener);

    public async ValueTask RefreshAsync(string name, CancellationToken ct = default) =>
        await ReloadAsync(ct).ConfigureAwait(false);

    /// <summary>Loads all rows where nothing is known yet, from other processes' cache if it has them.</summary>
    public Task LoadAsync(CancellationToken ct) => LoadAsync(force: false, keepsAnswers: false, ct);

    /// <exception cref="SecretDecryptionException">No stored password was written with any of our keys.</exception>
    public void ThrowIfKeyIsWrong()
    {
        if (Audit.KeyIsWrong)
        {
            throw new SecretDecryptionException(
                $"{FernetKeys.Variable} is not the key of this registry: none of the {Audit.OfAnotherKey} encrypted "
                    + "passwords of active connections in admin.database_connections was written with it. Set the key "
                    + "that wrote them; for a new key, put it first in the list and keep the old one behind a comma."
            );
        }
    }

    /// <summary>Reads all rows and swaps the snapshot; a failure leaves the old one in force.</summary>
    public Task ReloadAsync(CancellationToken ct) => LoadAsync(force: true, keepsAnswers: false, ct);

    /// <summary>The same, where nothing is known to have changed: passwords that were read are not asked for again.</summary>
    public Task CompleteAsync(CancellationToken ct) => LoadAsync(force: true, keepsAnswers: true, ct);

    // The container disposes it once per service type. There is nothing to free, only a load to stop.
    public void Dispose() => _disposing.Cancel();

    /// <summary>
    /// The load that all callers share while nothing is known. Its failure is theirs for a moment more: else they would
    /// wait for one timeout after another.
    /// </summary>
    private Task<ConnectionSnapshot> FirstAsync(CancellationToken ct)
    {
        lock (_starting)
        {
            if (_first is null || (_first.IsCompleted && time.GetElapsedTime(_firstEnded) >= FailureLasts))
            {
                var stopping = _disposing.Token;
                _first = Task.Run(() => LoadFirstAsync(stopping), CancellationToken.None).LetGo();
            }

            return _first.WaitAsync(ct);
        }
    }

    private async Task<ConnectionSnapshot> LoadFirstAsync(CancellationToken stopping)
    {
        try
        {
            return await LoadAsync(force: false, keepsAnswers: false, stopping).ConfigureAwait(false);
        }
        finally
        {
            _firstEnded = time.GetTimestamp();
        }
    }

    private async Task<ConnectionSnapshot> LoadAsync(bool force, bool keepsAnswers, CancellationToken ct)
    {
        await _loading.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            var before = _snapshot;
            if (before is not null && !force)
            {
                return before;
            }

            var read = await ReadAsync(maySkip: before is null && !force, ct).ConfigureAwait(false);
            var passwords = await StoredPasswords
                .OpenAsync(protector, _passwords, keepsAnswers, time, ct)
                .ConfigureAwait(false);
            var secrets = await passwords.ReadAllAsync(read, before, ct).ConfigureAwait(false);
            var rows = read.Zip(secrets)
                .Select(pair =>
                    TryMap(pair.First, pair.Second) ?? before?.ByName.GetValueOrDefault(pair.First.ConnectionName)
                )
                .OfType<DatabaseConnection>()
                .ToList();
            var after = before?.With(rows) ?? new ConnectionSnapshot(rows);
            var audit = Audit;
            Audit = passwords.Audit;
            _passwords = passwords;
            metrics.HaveUnbound(Audit.Unbound);
            Volatile.Write(ref _snapshot, after);
            TellChanges(before, after);
            if (Audit.Unbound > 0 && Audit.Unbound != audit.Unbound)
            {
                AdminLogMessages.UnboundSecrets(log, Audit.Unbound);
            }

            return after;
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>The rows of the admin database, or where nothing is known yet, those that other processes have cached.</summary>
    private async Task<List<ConnectionRow>> ReadAsync(bool maySkip, CancellationToken ct)
    {
        if (maySkip)
        {
            var found = await shared
                .FindOrLoadAsync(
                    SharedKey,
                    tenants.Duration,
                    (_, position) => recent.MayBeStale(position),
                    ReadAllAsync,
                    PositionOf,
                    ct
                )
                .ConfigureAwait(false);
            IsFromOthers = found.IsShared;
            return found.Value ?? [];
        }

        var began = time.GetUtcNow();
        var read = await ReadAllAsync(ct).ConfigureAwait(false);
        if (read is not null)
        {
            shared.Keep(SharedKey, read, PositionOf(read), began);
        }

        IsFromOthers = false;

        return read ?? [];
    }

    /// <returns>Null where there are none: of no row it is known when it was read.</returns>
    private async Task<List<ConnectionRow>?> ReadAllAsync(CancellationToken ct)
    {
        var rows = await reads
            .ReadAsync((db, token) => ConnectionRow.Query(db).OrderBy(c => c.ConnectionName).ToListAsync(token), ct)
            .ConfigureAwait(false);
        return rows.Count == 0 ? null : rows;
    }

    private static RowPosition PositionOf(List<ConnectionRow> rows) => rows[0].Position;

    private DatabaseConnection? TryMap(ConnectionRow row, Secret password)
    {
        try
        {
            return row.ToConnection(password);
        }
        catch (Exception e)
        {
            RegistryLogMessages.ConnectionRowUnreadable(log, e, row.ConnectionName);
            return null;
        }
    }

    private void TellChanges(ConnectionSnapshot? before, ConnectionSnapshot after)
    {
        foreach (var row in after.All)
        {
            var known = before?.ByName.GetValueOrDefault(row.Name);
            if (ReferenceEquals(known, row))
            {
                continue;
            }

            if (row.IsActive && RowValidation.FindFaults(row, options.Value) is { Count: > 0 } faults)
            {
                AdminLogMessages.ConnectionRowRefused(log, row.Name, RowFault.Join(faults));
            }

            if (row.Password.Fault is { } fault)
            {
                AdminLogMessages.SecretUnreadable(log, row.Name, fault);
            }
            else if (known is not null)
            {
                AdminLogMessages.ConnectionChanged(log, row.Name);
            }

            if (before is not null)
            {
                _changes.Publish(row.Name);
            }
        }

        foreach (var gone in before?.All.Where(row => !after.ByName.ContainsKey(row.Name)) ?? [])
        {
            _changes.Publish(gone.Name);
        }
    }
}
