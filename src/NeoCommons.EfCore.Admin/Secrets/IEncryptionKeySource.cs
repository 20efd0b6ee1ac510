namespace NeoCommons.EfCore.Admin;

/// <summary>Where the keys of the stored passwords come from.</summary>
/// <remarks>
/// The default reads <see cref="AdminDatabaseOptions.EncryptionKey"/> or <see cref="AdminDatabaseOptions.EncryptionKeyFile"/>. For a
/// key management service, implement this and call <c>UseEncryptionKeys&lt;T&gt;()</c>. Asked once per process, when the host
/// starts or at the first use; a failure is not remembered.
/// </remarks>
public interface IEncryptionKeySource
{
    /// <summary>The keys, separated by commas: the first encrypts, all decrypt.</summary>
    ValueTask<string> ReadAsync(CancellationToken ct = default);
}
