namespace NeoCommons.EfCore.Admin;

/// <summary>The keys, asked for once and kept for the life of the process.</summary>
internal sealed class EncryptionKeys(IEncryptionKeySource source)
{
    private FernetKeys? _keys;

    /// <summary>The keys.</summary>
    /// <exception cref="FormatException">What the source gave are no keys.</exception>
    public async ValueTask<FernetKeys> GetAsync(CancellationToken ct)
    {
        // Two first callers may both ask: either answer serves.
        if (Volatile.Read(ref _keys) is not { } keys)
        {
            keys = FernetKeys.Parse(await source.ReadAsync(ct).ConfigureAwait(false));
            Volatile.Write(ref _keys, keys);
        }

        return keys;
    }
}
