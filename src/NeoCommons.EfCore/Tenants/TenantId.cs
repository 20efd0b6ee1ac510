using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace NeoCommons.EfCore;

/// <summary>Identifies a tenant for its whole life; slug, name and schema may change, the id never does.</summary>
/// <param name="Value">The value of <c>admin.tenants.id</c>.</param>
/// <remarks>
/// Text is the 36-character form with hyphens only (<c>0f8fad5b-d9cb-469f-a165-70867728950e</c>), so that an id and
/// its text are one to one; upper case is read, too, and lower case is written.
/// </remarks>
[JsonConverter(typeof(TenantIdJsonConverter))]
public readonly record struct TenantId(Guid Value) : ISpanParsable<TenantId>
{
    private const string Format = "D";
    private const int Length = 36;

    /// <summary>Makes a new id: a version 7 UUID, which sorts by the time it was made and keeps the index compact.</summary>
    /// <param name="time">The clock; <see cref="TimeProvider.System"/> if omitted.</param>
    public static TenantId New(TimeProvider? time = null) =>
        new(Guid.CreateVersion7((time ?? TimeProvider.System).GetUtcNow()));

    /// <inheritdoc cref="Parse(ReadOnlySpan{char}, IFormatProvider?)"/>
    public static TenantId Parse(string s, IFormatProvider? provider = null)
    {
        ArgumentNullException.ThrowIfNull(s);
        return Parse(s.AsSpan(), provider);
    }

    /// <summary>Reads the 36-character form.</summary>
    /// <exception cref="FormatException">The text is not a UUID of 36 characters.</exception>
    public static TenantId Parse(ReadOnlySpan<char> s, IFormatProvider? provider = null) =>
        TryParse(s, provider, out var id)
            ? id
            : throw new FormatException(
                // Without the text: it comes from outside, and may be of any length and hold line breaks.
                "The text is not a tenant id. A tenant id is a UUID in the form 0f8fad5b-d9cb-469f-a165-70867728950e."
            );

    /// <summary>Reads the 36-character form; false if the text is anything else.</summary>
    public static bool TryParse([NotNullWhen(true)] string? s, out TenantId result) => TryParse(s, null, out result);

    /// <inheritdoc cref="TryParse(string?, out TenantId)"/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out TenantId result) =>
        TryParse(s.AsSpan(), provider, out result);

    /// <inheritdoc cref="TryParse(string?, out TenantId)"/>
    public static bool TryParse(ReadOnlySpan<char> s, IFormatProvider? provider, out TenantId result)
    {
        // Guid also takes white space around the text, and '+' or '0x' in front of its numbers.
        Span<char> written = stackalloc char[Length];
        var parsed =
            Guid.TryParseExact(s, Format, out var value)
            && value.TryFormat(written, out _, Format)
            && s.Equals(written, StringComparison.OrdinalIgnoreCase);
        result = parsed ? new TenantId(value) : default;
        return parsed;
    }

    /// <summary>The 36-character form.</summary>
    public override string ToString() => Value.ToString(Format);
}
