using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace NeoCommons.EfCore;

/// <summary>A password in memory: it compares by value and never shows itself.</summary>
/// <remarks>
/// Immutable and thread-safe. <see cref="ToString"/>, the debugger and serializers see <c>***</c>; only
/// <see cref="Reveal"/> returns the text. A secret that could not be decrypted is a value too, so that one bad row does
/// not hide the others: it throws when it is revealed.
/// </remarks>
[DebuggerDisplay("***")]
public sealed class Secret : IEquatable<Secret>
{
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    private readonly string? _text;

    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    private readonly string? _fault;

    private Secret(string? text, string? fault, string? faultKind = null)
    {
        _text = text;
        _fault = fault;
        FaultKind = faultKind;
    }

    /// <summary>A secret whose text is known.</summary>
    public static Secret FromText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new Secret(text, null);
    }

    /// <summary>A secret that cannot be read.</summary>
    /// <param name="reason">Why, and what to do; never the token.</param>
    public static Secret Unreadable(string reason) => Unreadable(reason, "secret cannot be read");

    internal static Secret Unreadable(string reason, string kind)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(reason);
        return new Secret(null, reason, kind);
    }

    /// <summary>Why the secret cannot be read, or null where it can.</summary>
    internal string? Fault => _fault;

    /// <summary>The same in a few words that name no value, for a health report.</summary>
    internal string? FaultKind { get; }

    /// <summary>The text.</summary>
    /// <exception cref="SecretDecryptionException">The secret cannot be read.</exception>
    public string Reveal() => _text ?? throw new SecretDecryptionException(_fault!);

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] Secret? other) =>
        other is not null && _text == other._text && _fault == other._fault;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Secret);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_text, _fault);

    /// <summary>Always <c>***</c>.</summary>
    public override string ToString() => "***";
}
