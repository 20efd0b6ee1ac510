using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace NeoCommons.EfCore.Admin;

/// <summary>The keys of <c>DB_ENCRYPTION_KEY</c>: the first encrypts, all of them decrypt.</summary>
/// <remarks>
/// To rotate, put a new key in front, write every secret again, then take the old key away. Immutable. Two keys with
/// the same signing half are refused, equal keys among them: a signature would not tell which of the two encrypts.
/// </remarks>
internal sealed class FernetKeys
{
    internal const string Variable = "DB_ENCRYPTION_KEY";

    private const string HowToMakeOne =
        "Make a key with: openssl rand -base64 32 | tr '+/' '-_' "
        + "(or: python3 -c \"from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())\").";

    private FernetKeys(IReadOnlyList<FernetKey> all) => All = all;

    /// <summary>The keys in the order of the list; at least one.</summary>
    internal IReadOnlyList<FernetKey> All { get; }

    /// <summary>The key that encrypts.</summary>
    internal FernetKey Primary => All[0];

    /// <summary>Keys for another purpose, in the same order.</summary>
    internal FernetKeys Derive(string purpose) => new([.. All.Select(k => k.Derive(purpose))]);

    /// <summary>Reads one key or a comma-separated list.</summary>
    /// <exception cref="FormatException">A key is missing or wrong; the message gives every fault and no key.</exception>
    internal static FernetKeys Parse(string? text) =>
        TryParse(text, out var keys, out var faults)
            ? keys
            : throw new FormatException(string.Join(Environment.NewLine, faults));

    /// <summary>Reads one key or a comma-separated list; false with every fault as a sentence.</summary>
    internal static bool TryParse(
        string? text,
        [NotNullWhen(true)] out FernetKeys? keys,
        out IReadOnlyList<string> faults
    )
    {
        keys = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            faults =
            [
                $"{Variable} is not set. Set it to the Fernet key of the passwords in admin.database_connections, or "
                    + $"{KeyFile.Variable} to a file that holds it. {HowToMakeOne}",
            ];
            return false;
        }

        var found = new List<FernetKey?>();
        var wrong = new List<string>();
        foreach (var entry in Split(text.Trim()))
        {
            var (key, fault) = FernetKey.Read(entry.AsSpan().Trim());
            found.Add(key);
            if (fault is not null)
            {
                wrong.Add($"{Variable}: key {found.Count} {fault}. {HowToMakeOne}");
            }
            else if (IndexOfSameSigner(found) is { } same)
            {
                wrong.Add(
                    $"{Variable}: key {found.Count} begins with the same 16 bytes as key {same + 1}, and signatures "
                        + $"cannot tell the two apart. Remove it, or put another in its place. {HowToMakeOne}"
                );
            }
        }

        faults = wrong;
        keys = wrong.Count == 0 ? new FernetKeys([.. found.OfType<FernetKey>()]) : null;
        return keys is not null;
    }

    // 32 characters are too few for a list: they are one raw key, commas included.
    private static string[] Split(string text) => text.Length == FernetKey.Size ? [text] : text.Split(',');

    private static int? IndexOfSameSigner(List<FernetKey?> keys)
    {
        var last = keys[^1]!;
        var index = keys.FindIndex(key =>
            key is not null && CryptographicOperations.FixedTimeEquals(key.Signing, last.Signing)
        );
        return index == keys.Count - 1 ? null : index;
    }
}
