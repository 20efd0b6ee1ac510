using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace NeoCommons.EfCore;

/// <summary>The rule of a tenant's slug, its short name in addresses and headers.</summary>
/// <remarks>
/// 2 to 40 characters of <c>a-z</c>, <c>0-9</c>, <c>-</c> and <c>_</c>, the first and the last a letter or digit. ASCII
/// and lower case only: a slug has one spelling, fits a DNS label, and different slugs make different schemas. Text in
/// the form of a UUID is refused, so that a slug is never taken for a <see cref="TenantId"/>.
/// </remarks>
public static partial class TenantSlug
{
    /// <summary>The rule in words, for messages.</summary>
    internal const string Rule =
        "a slug has 2 to 40 characters of a-z, 0-9, '-' and '_', begins and ends with a letter or digit, and is not a UUID";

    /// <summary>Whether the text is a slug.</summary>
    public static bool IsValid([NotNullWhen(true)] string? slug) =>
        slug is not null && Pattern().IsMatch(slug) && !Guid.TryParse(slug, out _);

    /// <summary>Throws unless the text is a slug.</summary>
    /// <exception cref="InvalidSchemaNameException">The text is not a slug; the message gives the rule.</exception>
    public static void ThrowIfInvalid(string slug)
    {
        ArgumentNullException.ThrowIfNull(slug);
        if (!IsValid(slug))
        {
            throw new InvalidSchemaNameException(slug, Rule);
        }
    }

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]\z", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
