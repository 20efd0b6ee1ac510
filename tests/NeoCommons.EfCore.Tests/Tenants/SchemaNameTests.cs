using System.Globalization;
using System.Text;

namespace NeoCommons.EfCore.Tests.Tenants;

public class SchemaNameTests
{
    public static TheoryData<string> Longest =>
        [
            new string('a', 63),
            new string('é', 31) + "a",
            new string('密', 21),
            string.Concat(Enumerable.Repeat("🔑", 15)) + "abc",
            new string('"', 63),
        ];

    [Theory]
    [MemberData(nameof(Longest))]
    public void A_name_of_63_bytes_is_taken_and_one_of_64_is_not(string name)
    {
        Assert.Equal(63, Encoding.UTF8.GetByteCount(name));
        Assert.Equal(name, SchemaName.Parse(name).Value);
        var fault = Assert.Throws<InvalidSchemaNameException>(() => SchemaName.Parse(name + "a"));
        Assert.Contains("64 bytes", fault.Message);
        Assert.Equal(name + "a", fault.Name);
    }

    [Theory]
    [InlineData("tenant_acme", "\"tenant_acme\"")]
    [InlineData("Acme", "\"Acme\"")]
    [InlineData("a\"b", "\"a\"\"b\"")]
    [InlineData("\"", "\"\"\"\"")]
    [InlineData("a\\b'c$d;e f", "\"a\\b'c$d;e f\"")]
    [InlineData("a, public", "\"a, public\"")]
    [InlineData("\"$user\"", "\"\"\"$user\"\"\"")]
    [InlineData("$user ", "\"$user \"")]
    [InlineData("pg", "\"pg\"")]
    [InlineData("pgx_a", "\"pgx_a\"")]
    [InlineData("public2", "\"public2\"")]
    [InlineData("admin", "\"admin\"")]
    public void A_name_is_quoted_as_an_identifier(string name, string quoted)
    {
        Assert.Equal(quoted, SchemaName.Parse(name).Quoted);
        Assert.Equal(name, SchemaName.Parse(name).ToString());
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("pg_catalog", "belong to PostgreSQL")]
    [InlineData("pg_", "belong to PostgreSQL")]
    [InlineData("PG_Temp_1", "belong to PostgreSQL")]
    [InlineData("public", "reserved")]
    [InlineData("Public", "reserved")]
    [InlineData("information_schema", "reserved")]
    [InlineData("INFORMATION_SCHEMA", "reserved")]
    [InlineData("$user", "reserved")]
    [InlineData("$USER", "reserved")]
    [InlineData("neocommons_no_tenant", "reserved")]
    [InlineData("a\0b", "control character")]
    [InlineData("a\nb", "control character")]
    [InlineData("a\tb", "control character")]
    [InlineData("a\u007Fb", "control character")]
    [InlineData("a\u0085b", "control character")]
    public void A_name_that_cannot_hold_a_tenant_is_refused(string name, string reason)
    {
        Assert.False(SchemaName.TryParse(name, out var parsed));
        Assert.Null(parsed);
        var fault = Assert.Throws<InvalidSchemaNameException>(() => SchemaName.Parse(name));
        Assert.Contains(reason, fault.Reason);
        Assert.Equal(name, fault.Name);
    }

    // Not in a theory: test discovery mends a lone surrogate.
    [Fact]
    public void Half_of_a_surrogate_pair_is_refused()
    {
        foreach (var name in new[] { "\uD83D", "a\uD83Db", "\uDD11", "\uDD11\uD83D", "\uD83D\uD83D\uDD11" })
        {
            var fault = Assert.Throws<InvalidSchemaNameException>(() => SchemaName.Parse(name));
            Assert.Contains("surrogate", fault.Reason);
        }

        Assert.Equal("\uD83D\uDD11", SchemaName.Parse("\uD83D\uDD11").Value);
    }

    [Fact]
    public void No_text_is_no_name()
    {
        Assert.False(SchemaName.TryParse(null, out _));
        Assert.Throws<ArgumentNullException>(() => SchemaName.Parse(null!));
    }

    [Fact]
    public void Names_are_equal_when_postgresql_takes_them_for_equal()
    {
        Assert.Equal(SchemaName.Parse("acme"), SchemaName.Parse("acme"));
        Assert.Equal(SchemaName.Parse("acme").GetHashCode(), SchemaName.Parse("acme").GetHashCode());
        Assert.NotEqual(SchemaName.Parse("acme"), SchemaName.Parse("Acme"));
        Assert.NotEqual(SchemaName.Parse("\u00E9"), SchemaName.Parse("e\u0301"));
    }

    [Fact]
    public void A_message_shows_no_character_that_could_fake_a_line_or_turn_the_text_around()
    {
        var hostile = "a\r\nb\u001B[31m\u0085\u2028\u2029\u202E\u200F\uFEFF\uD83D" + new string('x', 1000);
        var fault = Assert.Throws<InvalidSchemaNameException>(() => SchemaName.Parse(hostile));

        Assert.True(fault.Message.Length < 300);
        Assert.DoesNotContain(
            fault.Message,
            c =>
                char.GetUnicodeCategory(c)
                    is UnicodeCategory.Control
                        or UnicodeCategory.Format
                        or UnicodeCategory.LineSeparator
                        or UnicodeCategory.ParagraphSeparator
                        or UnicodeCategory.Surrogate
        );
    }

    [Fact]
    public void Each_of_a_million_hostile_texts_is_refused_or_unquotes_to_itself()
    {
        const int count = 1_000_000;
        var texts = new AdversarialText(20260101);
        var accepted = 0;
        for (var i = 0; i < count; i++)
        {
            var text = texts.Next();
            if (!SchemaName.TryParse(text, out var name))
            {
                Assert.False(ShouldBeAccepted(text), $"Refused: {Escape(text)}");
                continue;
            }

            accepted++;
            if (!ShouldBeAccepted(text) || name.Value != text || Unquote(name.Quoted) != text)
            {
                Assert.Fail($"Accepted: {Escape(text)} as {Escape(name.Quoted)}");
            }
        }

        Assert.InRange(accepted, count / 5, count * 4 / 5);
    }

    // Reads as PostgreSQL's scanner does: the first quote that is not doubled ends the identifier.
    private static string? Unquote(string quoted)
    {
        var text = new StringBuilder();
        for (var i = 1; i < quoted.Length; i++)
        {
            if (quoted[i] != '"')
            {
                text.Append(quoted[i]);
            }
            else if (i + 1 < quoted.Length && quoted[i + 1] == '"')
            {
                text.Append('"');
                i++;
            }
            else
            {
                return quoted[0] == '"' && i == quoted.Length - 1 ? text.ToString() : null;
            }
        }

        return null;
    }

    // The rule again, in other means than the library's.
    private static bool ShouldBeAccepted(string text)
    {
        var bytes = 0;
        for (var i = 0; i < text.Length; )
        {
            if (!Rune.TryGetRuneAt(text, i, out var rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.Control)
            {
                return false;
            }

            bytes += rune.Utf8SequenceLength;
            i += rune.Utf16SequenceLength;
        }

        var lower = text.ToLowerInvariant();
        return bytes is > 0 and <= 63
            && !lower.StartsWith("pg_", StringComparison.Ordinal)
            && lower is not ("public" or "information_schema" or "$user" or "neocommons_no_tenant");
    }

    private static string Escape(string text) =>
        string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c.ToString() : $"\\u{(int)c:X4}"));
}
