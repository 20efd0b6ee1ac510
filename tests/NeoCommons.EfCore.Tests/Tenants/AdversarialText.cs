using System.Text;

namespace NeoCommons.EfCore.Tests.Tenants;

/// <summary>Texts that a careless quoting, a length check in characters or a prefix check would let through.</summary>
internal sealed class AdversarialText(int seed)
{
    private static readonly string[] Beginnings =
    [
        .. Enumerable.Repeat("", 12),
        "pg_",
        "PG_",
        "pG_temp",
        "pg",
        "pg-",
        "$user",
        "\"$user\"",
        "public",
        "PUBLIC",
        "information_schema",
        "neocommons_no_tenant",
        "tenant_",
        "tenant_template",
        "U&\"",
        "E'",
        "$$",
        "--",
        "/*",
    ];

    private static readonly string[] Pieces =
    [
        "\"",
        "\"\"",
        "'",
        "\\",
        "$",
        "$user",
        "$1",
        "@p",
        ":p",
        "?",
        ";",
        ",",
        ".",
        " ",
        "\u00A0",
        "%",
        "{0}",
        "{",
        "}",
        "--",
        "/*",
        "*/",
        "\"; DROP SCHEMA x; --",
        "a",
        "B",
        "z9_",
        "ab-cd",
        "é",
        "e\u0301",
        "\u0301",
        "ß",
        "İ",
        "密码",
        "\u05D0\u05D1",
        "\u202E",
        "\u200B",
        "\u200D",
        "\u2028",
        "\uFEFF",
        "\uFFFD",
        "\uFFFF",
        "🔑",
        "👩‍👩‍👧",
    ];

    private static readonly string[] RarePieces = ["\0", "\n", "\u001B[31m", "\u007F", "\u0085", "\uD83D", "\uDD11"];

    private readonly Random _random = new(seed);

    /// <summary>The next text, often of 60 to 66 bytes.</summary>
    internal string Next()
    {
        var text = new StringBuilder(Pick(Beginnings));
        for (var pieces = _random.Next(6); pieces > 0; pieces--)
        {
            text.Append(_random.Next(25) == 0 ? Pick(RarePieces) : Pick(Pieces));
        }

        if (_random.Next(2) == 0)
        {
            var missing = _random.Next(60, 67) - Encoding.UTF8.GetByteCount(text.ToString());
            text.Insert(_random.Next(text.Length + 1), "x", Math.Max(0, missing));
        }

        return text.ToString();
    }

    private string Pick(string[] from) => from[_random.Next(from.Length)];
}
