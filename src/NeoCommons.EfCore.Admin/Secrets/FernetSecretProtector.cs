using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps passwords as Fernet tokens under the keys of <see cref="IEncryptionKeySource"/>.</summary>
internal sealed class FernetSecretProtector(
    EncryptionKeys keys,
    IOptions<AdminDatabaseOptions> options,
    TimeProvider time
) : ISecretProtector
{
    /// <summary>Whether a token that is bound to no target may be used.</summary>
    public bool AcceptsUnbound => !options.Value.RefuseUnboundPasswords;

    /// <summary>The keys, ready to use; reads them at the first call.</summary>
    public async ValueTask<FernetSecrets> OpenAsync(CancellationToken ct) =>
        new(await keys.GetAsync(ct).ConfigureAwait(false), time);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A text holds half of a surrogate pair and has no UTF-8 form.</exception>
    public async ValueTask<string> ProtectAsync(string secret, SecretTarget target, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(secret);
        ArgumentNullException.ThrowIfNull(target);
        return (await OpenAsync(ct).ConfigureAwait(false)).Protect(secret, target);
    }

    /// <inheritdoc/>
    public async ValueTask<string> UnprotectAsync(string token, SecretTarget target, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(token);
        ArgumentNullException.ThrowIfNull(target);
        return (await OpenAsync(ct).ConfigureAwait(false)).Read(token, target).ToSecret(AcceptsUnbound).Reveal();
    }
}
