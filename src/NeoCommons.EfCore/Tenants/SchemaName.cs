using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json.Serialization;

namespace NeoCommons.EfCore;

/// <summary>A valid PostgreSQL schema name that is safe to hold a tenant's data.</summary>
/// <remarks>
/// <para>
/// A name is 1 to 63 bytes of UTF-8. PostgreSQL cuts longer identifiers, <c>set_config</c> without even a notice, and
/// two tenants would become one
/// (<see href="https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS">PostgreSQL: identifiers</see>).
/// </para>
/// <para>
/// Refused, in any letter case: <c>pg_*</c> and <c>information_schema</c> (the system's), <c>public</c> (shared by
/// every role), <c>$user</c> (expands on a search path even when quoted), <c>$tenant</c> (stands for a tenant's schema in
/// the SQL of this library) and the name of the schema that never exists, <see cref="Unbound"/>. Control characters and unpaired surrogates are refused too.
/// </para>
/// <para>Immutable, thread-safe, equal by ordinal comparison as PostgreSQL compares quoted identifiers.</para>
/// </remarks>
[JsonConverter(typeof(SchemaNameJsonConverter))]
public sealed class SchemaName : IEquatable<SchemaName>, IParsable<SchemaName>
{
    /// <summary>The longest identifier that PostgreSQL keeps whole, in bytes of UTF-8 (NAMEDATALEN - 1).</summary>
    public const int MaxBytes = 63;

    /// <summary>The search path of a connection that is bound to no tenant: a schema of this name is never created.</summary>
    internal const string Unbound = "neocommons_no_tenant";

    /// <summary>Stands for a tenant's schema in models and SQL of QualifiedNames; needs quotes as an identifier.</summary>
    internal const string Placeholder = "$tenant";

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    // Each command of QualifiedNames looks its SQL up by it.
    private readonly int _hashCode;

    private SchemaName(string value)
    {
        Value = value;
        _hashCode = value.GetHashCode(StringComparison.Ordinal);
        Quoted = string.Concat("\"", value.Replace("\"", "\"\"", StringComparison.Ordinal), "\"");
    }

    /// <summary>The name as it stands in <c>pg_namespace.nspname</c>.</summary>
    public string Value { get; }

    /// <summary>The name as a quoted SQL identifier, for example <c>"tenant_acme"</c>: the only form to put into SQL.</summary>
    public string Quoted { get; }

    /// <summary>Makes a schema name of the text.</summary>
    /// <exception cref="InvalidSchemaNameException">The text is not a valid schema name; the message says why.</exception>
    public static SchemaName Parse(string s, IFormatProvider? provider = null)
    {
        ArgumentNullException.ThrowIfNull(s);
        return FindFault(s) is { } fault ? throw new InvalidSchemaNameException(s, fault) : new SchemaName(s);
    }

    /// <summary>Makes a schema name of the text; false if it is not valid.</summary>
    public static bool TryParse([NotNullWhen(true)] string? s, [MaybeNullWhen(false)] out SchemaName result) =>
        TryParse(s, null, out result);

    /// <inheritdoc cref="TryParse(string?, out SchemaName)"/>
    public static bool TryParse(
        [NotNullWhen(true)] string? s,
        IFormatProvider? provider,
        [MaybeNullWhen(false)] out SchemaName result
    )
    {
        result = s is not null && FindFault(s) is null ? new SchemaName(s) : null;
        return result is not null;
    }

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] SchemaName? other) => other is not null && Value == other.Value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SchemaName);

    /// <inheritdoc/>
    public override int GetHashCode() => _hashCode;

    /// <summary>The unquoted name, for people: never put it into SQL.</summary>
    public override string ToString() => Value;

    private static string? FindFault(string name)
    {
        if (name.Length == 0)
        {
            return "it is empty";
        }

        int bytes;
        try
        {
            bytes = StrictUtf8.GetByteCount(name);
        }
        catch (EncoderFallbackException)
        {
            return "it holds half of a surrogate pair";
        }

        if (bytes > MaxBytes)
        {
            return $"it has {bytes} bytes in UTF-8, and PostgreSQL cuts names at {MaxBytes}";
        }

        if (name.Any(char.IsControl))
        {
            return "it holds a control character";
        }

        if (name.StartsWith("pg_", StringComparison.OrdinalIgnoreCase))
        {
            return "names that begin with 'pg_' belong to PostgreSQL";
        }

        return Reserved.Contains(name) ? "the name is reserved" : null;
    }

    private static readonly HashSet<string> Reserved = new(
        ["public", "information_schema", "$user", Placeholder, Unbound],
        StringComparer.OrdinalIgnoreCase
    );
}
