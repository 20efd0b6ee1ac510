using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Admin;

/// <summary>The passwords of the rows of one load: all of them are read with the same keys.</summary>
internal sealed class StoredPasswords
{
    private const int AskedAtOnce = 16;

    /// <summary>How long one password is waited for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly ISecretProtector _protector;
    private readonly FernetSecrets? _ours;
    private readonly bool _acceptsUnbound;
    private readonly ConcurrentDictionary<(string Token, SecretTarget Target), Secret> _answers = [];
    private StoredPasswords? _before;
    private volatile bool _hangs;
    private volatile bool _isIncomplete;

    private StoredPasswords(
        ISecretProtector protector,
        FernetSecrets? ours,
        bool acceptsUnbound,
        StoredPasswords? before
    ) => (_protector, _ours, _acceptsUnbound, _before) = (protector, ours, acceptsUnbound, before);

    /// <summary>What was read until now, of active connections.</summary>
    public SecretAudit Audit { get; private set; }

    /// <summary>Whether some could not be asked for: that they are wrong nobody has said.</summary>
    public bool IsIncomplete => _isIncomplete;

    /// <summary>Begins a load. Where the keys cannot be had, it is the load that fails, not each row.</summary>
    /// <param name="protector">Reads them.</param>
    /// <param name="before">A load whose answers still hold: what it has not got is asked for, one after the other if it hung.</param>
    /// <param name="ct">Cancels.</param>
    public static async Task<StoredPasswords> OpenAsync(
        ISecretProtector protector,
        StoredPasswords? before,
        CancellationToken ct
    ) =>
        protector is FernetSecretProtector fernet
            ? new(protector, await fernet.OpenAsync(ct).ConfigureAwait(false), fernet.AcceptsUnbound, null)
            : new(protector, null, true, before);

    /// <summary>The passwords of rows, in their order; one that cannot be read says why when it is revealed.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="known">The connections as they were known until now.</param>
    /// <param name="ct">Cancels.</param>
    public async Task<Secret[]> ReadAllAsync(
        IReadOnlyList<ConnectionRow> rows,
        ConnectionSnapshot? known,
        CancellationToken ct
    )
    {
        var secrets = new Secret[rows.Count];
        if (_ours is not null)
        {
            for (var i = 0; i < secrets.Length; i++)
            {
                secrets[i] = Read(_ours, rows[i]);
            }

            return secrets;
        }

        await Parallel
            .ForAsync(
                0,
                secrets.Length,
                new ParallelOptions
                {
                    MaxDegreeOfParallelism = _before is { _hangs: true } ? 1 : AskedAtOnce,
                    CancellationToken = ct,
                },
                async (i, token) =>
                    secrets[i] = await AskAsync(rows[i], known?.ByName.GetValueOrDefault(rows[i].ConnectionName), token)
                        .ConfigureAwait(false)
            )
            .ConfigureAwait(false);
        _before = null;
        return secrets;
    }

    private Secret Read(FernetSecrets ours, ConnectionRow row)
    {
        var stored = ours.Read(row.EncryptedPassword, row.Target);

        // A connection that is switched off may keep its last password for ever, the key long gone.
        Audit = row.IsActive ? Audit.With(stored) : Audit;
        return stored.ToSecret(_acceptsUnbound);
    }

    private async Task<Secret> AskAsync(ConnectionRow row, DatabaseConnection? known, CancellationToken ct)
    {
        var question = (row.EncryptedPassword, row.Target);
        if (_before?._answers.TryGetValue(question, out var answered) == true)
        {
            return _answers[question] = answered;
        }

        try
        {
            // One that hangs is not asked for the rest: this is waited for by all who want to know what changed.
            if (_hangs)
            {
                return NotAnswered(row, known, nameof(TimeoutException));
            }

            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(Patience);
            var asking = Task.Run(
                () => _protector.UnprotectAsync(row.EncryptedPassword, row.Target, limit.Token).AsTask(),
                ct
            );
            var text = await asking.LetGo().WaitAsync(Patience, ct).ConfigureAwait(false);
            return _answers[question] = Secret.FromText(text);
        }
        catch (SecretDecryptionException e)
        {
            return _answers[question] = Secret.Unreadable(e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            _hangs |= e is TimeoutException or OperationCanceledException;
            return NotAnswered(row, known, e.GetType().Name);
        }
    }

    // A vault that does not answer has not said that the password is wrong.
    private Secret NotAnswered(ConnectionRow row, DatabaseConnection? known, string failure)
    {
        _isIncomplete = true;
        return known?.Password.Fault is null && known is not null && SecretTarget.Of(known) == row.Target
            ? known.Password
            : Secret.Unreadable(
                $"{_protector.GetType().Name} failed ({failure}). It is asked again within NeoCommons:AdminDatabase:RefreshInterval."
            );
    }
}
