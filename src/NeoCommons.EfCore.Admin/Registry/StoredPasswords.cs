namespace NeoCommons.EfCore.Admin;

/// <summary>The passwords of the rows of one load: all of them are read with the same keys.</summary>
internal sealed class StoredPasswords
{
    private readonly ISecretProtector _protector;
    private readonly FernetSecrets? _ours;
    private readonly bool _acceptsUnbound;

    private StoredPasswords(ISecretProtector protector, FernetSecrets? ours, bool acceptsUnbound)
    {
        _protector = protector;
        _ours = ours;
        _acceptsUnbound = acceptsUnbound;
    }

    /// <summary>What was read until now, of active connections.</summary>
    public SecretAudit Audit { get; private set; }

    /// <summary>Begins a load. Where the keys cannot be had, it is the load that fails, not each row.</summary>
    public static async Task<StoredPasswords> OpenAsync(ISecretProtector protector, CancellationToken ct) =>
        protector is FernetSecretProtector fernet
            ? new(protector, await fernet.OpenAsync(ct).ConfigureAwait(false), fernet.AcceptsUnbound)
            : new(protector, null, true);

    /// <summary>The password of a row; one that cannot be read says why when it is revealed.</summary>
    /// <param name="row">The row.</param>
    /// <param name="known">The connection as it was known until now.</param>
    /// <param name="ct">Cancels.</param>
    public async ValueTask<Secret> ReadAsync(ConnectionRow row, DatabaseConnection? known, CancellationToken ct)
    {
        if (_ours is null)
        {
            return await AskAsync(row, known, ct).ConfigureAwait(false);
        }

        var stored = _ours.Read(row.EncryptedPassword, row.Target);

        // A connection that is switched off may keep its last password for ever, the key long gone.
        Audit = row.IsActive ? Audit.With(stored) : Audit;
        return stored.ToSecret(_acceptsUnbound);
    }

    private async ValueTask<Secret> AskAsync(ConnectionRow row, DatabaseConnection? known, CancellationToken ct)
    {
        try
        {
            return Secret.FromText(
                await _protector.UnprotectAsync(row.EncryptedPassword, row.Target, ct).ConfigureAwait(false)
            );
        }
        catch (SecretDecryptionException e)
        {
            return Secret.Unreadable(e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            // A vault that does not answer has not said that the password is wrong.
            return known?.Password.Fault is null && known is not null && SecretTarget.Of(known) == row.Target
                ? known.Password
                : Secret.Unreadable(
                    $"{_protector.GetType().Name} failed ({e.GetType().Name}); it is asked again when the rows are read again."
                );
        }
    }
}
