using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>The keys that stand in the configuration, or in the file that it names.</summary>
internal sealed class ConfiguredKeySource(IOptions<AdminDatabaseOptions> options) : IEncryptionKeySource
{
    public ValueTask<string> ReadAsync(CancellationToken ct = default) =>
        ValueTask.FromResult(
            options.Value.EncryptionKeyFile is { } path
                ? KeyFile.Read(path)
                // Its absence has stopped the start: AdminDatabaseOptionsValidation.
                : options.Value.EncryptionKey ?? ""
        );
}
