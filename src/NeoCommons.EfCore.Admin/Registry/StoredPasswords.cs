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
    private readonly TimeProvider _time;
    private readonly Dictionary<(string Token, SecretTarget Target), Secret> _known = [];
    private volatile Unanswered? _unanswered;
    private volatile bool _hangs;
    private volatile bool _isIncomplete;

    private StoredPasswords(ISecretProtector protector, FernetSecrets? ours, bool acceptsUnbound, TimeProvider time) =>
        (_protector, _ours, _acceptsUnbound, _time) = (protector, ours, acceptsUnbound, time);

    /// <summary>What was read until now, of active connections.</summary>
    public SecretAudit Audit { get; private set; }

    /// <summary>Whether some could not be asked for: that they are wrong nobody has said.</summary>
    public bool IsIncomplete => _isIncomplete;

    /// <summary>Begins a load. Where the keys cannot be had, it is the load that fails, not each row.</summary>
    /// <param name="protector">Reads them.</param>
    /// <param name="before">The load before.</param>
    /// <param name="keepsAnswers">Whether its answers still hold, so that only what it has not got is asked for.</param>
    /// <param name="time">Measures how long a question has not been answered.</param>
    /// <param name="ct">Cancels.</param>
    public static async Task<StoredPasswords> OpenAsync(
        ISecretProtector protector,
        StoredPasswords? before,
        bool keepsAnswers,
        TimeProvider time,
        CancellationToken ct
    )
    {
        if (protector is FernetSecretProtector fernet)
        {
            return new(protector, await fernet.OpenAsync(ct).ConfigureAwait(false), fernet.AcceptsUnbound, time);
        }

        var load = new StoredPasswords(protector, null, true, time) { _unanswered = before?._unanswered };
        foreach (var (question, answer) in keepsAnswers && before is not null ? before._answers : [])
        {
            load._known[question] = answer;
        }

        return load;
    }

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
                    MaxDegreeOfParallelism = _unanswered is null ? AskedAtOnce : 1,
                    CancellationToken = ct,
                },
                async (i, token) =>
                    secrets[i] = await AskAsync(rows[i], known?.ByName.GetValueOrDefault(rows[i].ConnectionName), token)
                        .ConfigureAwait(false)
            )
            .ConfigureAwait(false);
        _known.Clear();
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
        if (_known.TryGetValue(question, out var answered))
        {
            return _answers[question] = answered;
        }

        try
        {
            // One that hangs is not asked for the rest: this is waited for by all who want to know what changed. Nor is it
            // while a question of before is unanswered: it may hold a thread.
            if (_hangs || _unanswered?.IsYoung(_time) == true)
            {
                return NotAnswered(row, known, nameof(TimeoutException));
            }

            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(Patience);
            var asking = Task.Run(
                () => _protector.UnprotectAsync(row.EncryptedPassword, row.Target, limit.Token).AsTask(),
                ct
            );
            try
            {
                var text = await asking.LetGo().WaitAsync(Patience, ct).ConfigureAwait(false);
                _unanswered = null;
                return _answers[question] = Secret.FromText(text);
            }
            catch when (!asking.IsCompleted)
            {
                _unanswered = new Unanswered(asking, _time.GetTimestamp());
                throw;
            }
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

    /// <summary>A question that was given up.</summary>
    private sealed record Unanswered(Task Question, long Since)
    {
        /// <summary>How long nothing else is asked. Not for ever: it may have been lost.</summary>
        private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

        public bool IsYoung(TimeProvider time) => !Question.IsCompleted && time.GetElapsedTime(Since) < Pause;
    }
}
