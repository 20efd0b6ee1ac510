using System.Text;
using CsCheck;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>The tenant's schema takes the placeholder's place where PostgreSQL sees a schema, and nowhere else.</summary>
public sealed class QualifiedSqlTests(TestServers servers)
{
    private const string Schema = "tenant \"x\" 'y'";

    private static readonly SchemaName Name = SchemaName.Parse(Schema);

    // What a text that means to mislead consists of.
    private static readonly string[] Parts =
    [
        "\"$tenant\".",
        "\"$tenant\".t",
        "$tenant",
        "'",
        "\"",
        "\\",
        "--",
        "/*",
        "*/",
        "$$",
        "$a$",
        "$a",
        "E",
        "e",
        "\n",
        " ",
        ".",
        ";",
        "x",
        "é",
    ];

    private static readonly Gen<string> Text = Gen.Int[0, Parts.Length - 1]
        .Select(i => Parts[i])
        .Array[0, 8]
        .Select(parts => string.Concat(parts));

    /// <summary>An expression that yields a text, in one of the ways that SQL has to write it.</summary>
    private static readonly Gen<(string Sql, string Value)> Literal = Gen.Select(Text, Gen.Int[0, 4])
        .Select(
            (text, way) =>
                way switch
                {
                    0 => ("E'" + text.Replace("\\", "\\\\").Replace("'", "\\'") + "'", text),
                    1 => ("e'" + text.Replace("\\", "\\\\").Replace("'", "''") + "'", text),
                    2 when !$"{text}$q".Contains("$q$", StringComparison.Ordinal) => ($"$q$ {text} $q$", $" {text} "),
                    3 when !$"{text}$".Contains("$$", StringComparison.Ordinal) => ($"$${text} $$", $"{text} "),
                    _ => ("'" + text.Replace("'", "''") + "'", text),
                }
        );

    /// <summary>What means nothing to the server.</summary>
    private static readonly Gen<string> Blank = Gen.Select(Text, Gen.Int[0, 3])
        .Select(
            (text, way) =>
                way switch
                {
                    0 => $" -- {text.Replace("\n", " ")}\n",
                    1 =>
                        $" /* {text.Replace("/*", "").Replace("*/", "")} /* nested {text.Replace("/*", "").Replace("*/", "")} */ */ ",
                    2 => "\n",
                    _ => " ",
                }
        );

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("SELECT * FROM \"$tenant\".t", "SELECT * FROM \"s\".t")]
    [InlineData(
        "SELECT \"$tenant\".f(x), t.\"$tenant\" FROM \"$tenant\".t",
        "SELECT \"s\".f(x), t.\"$tenant\" FROM \"s\".t"
    )]
    [InlineData("INSERT INTO \"$tenant\".t (\"$tenant\") VALUES ($1)", "INSERT INTO \"s\".t (\"$tenant\") VALUES ($1)")]
    [InlineData("SELECT '\"$tenant\".t', \"$tenant\".t.x", "SELECT '\"$tenant\".t', \"s\".t.x")]
    [InlineData("SELECT E'\\'\"$tenant\".t', \"$tenant\".t.x", "SELECT E'\\'\"$tenant\".t', \"s\".t.x")]
    [InlineData("SELECT 'E\\', \"$tenant\".t.x", "SELECT 'E\\', \"s\".t.x")]
    [InlineData("SELECT $1, $2, \"$tenant\".t.x, $3", "SELECT $1, $2, \"s\".t.x, $3")]
    [InlineData("SELECT a$b, \"$tenant\".t.x$y$, 1", "SELECT a$b, \"s\".t.x$y$, 1")]
    [InlineData("-- \"$tenant\".t\nSELECT \"$tenant\".t.x", "-- \"$tenant\".t\nSELECT \"s\".t.x")]
    [InlineData("SELECT U&\"$tenant\".t", "SELECT U&\"$tenant\".t")]
    [InlineData("SELECT \"x\"\"$tenant\".t", "SELECT \"x\"\"$tenant\".t")]
    [InlineData("SELECT \"$tenant\" . t", "SELECT \"$tenant\" . t")]
    [InlineData("SELECT '\"$tenant\".t", "SELECT '\"$tenant\".t")]
    [InlineData("SELECT 1", "SELECT 1")]
    public void Only_a_schema_is_replaced(string sql, string expected) =>
        Assert.Equal(expected, QualifiedSql.For(sql, SchemaName.Parse("s")));

    [Fact]
    public async Task PostgreSQL_reads_the_same()
    {
        await using var source = NpgsqlDataSource.Create(
            servers.Postgres.GetConnectionString(await servers.Postgres.CreateDatabaseAsync(ct: Ct))
        );
        await ExecuteAsync(source, $"CREATE SCHEMA {Name.Quoted}");
        await ExecuteAsync(source, $"CREATE TABLE {Name.Quoted}.t AS SELECT 1 AS n");

        await Gen.Select(Literal.Array[1, 6], Blank.Array[7])
            .SampleAsync(
                async (literals, blanks) =>
                {
                    var sql = new StringBuilder("SELECT ARRAY[");
                    for (var i = 0; i < literals.Length; i++)
                    {
                        sql.Append(i == 0 ? "" : ",")
                            .Append(blanks[i])
                            .Append(literals[i].Sql)
                            .Append("::text")
                            .Append(blanks[i]);
                    }

                    sql.Append("] FROM").Append(blanks[6]).Append("\"$tenant\".t WHERE \"$tenant\".t.n = 1");
                    await using var command = source.CreateCommand(QualifiedSql.For(sql.ToString(), Name));
                    var seen = (string[])(await command.ExecuteScalarAsync(Ct))!;
                    return seen.SequenceEqual(literals.Select(l => l.Value));
                },
                iter: 2_000,
                threads: 2
            );
    }

    [Fact]
    public void What_is_kept_is_the_tenants_own_and_bounded()
    {
        var schemas = Enumerable.Range(0, 500).Select(i => SchemaName.Parse($"s{i}")).ToList();
        for (var round = 0; round < 2; round++)
        {
            foreach (var schema in schemas)
            {
                for (var i = 0; i < 20; i++)
                {
                    Assert.Equal(
                        $"SELECT {i} FROM \"{schema}\".t",
                        QualifiedSql.For($"SELECT {i} FROM \"$tenant\".t", schema)
                    );
                }
            }
        }

        // A hot statement is the same object again: nothing is made.
        var hot = QualifiedSql.For("SELECT 1 FROM \"$tenant\".hot", schemas[0]);
        Assert.Same(
            hot,
            QualifiedSql.For(new StringBuilder("SELECT 1 FROM \"$tenant\".hot").ToString(), SchemaName.Parse("s0"))
        );
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
