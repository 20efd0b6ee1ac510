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

    [Fact]
    public void What_is_kept_is_what_is_made_anew_for_all_callers_at_once()
    {
        var schemas = Enumerable.Range(0, 300).Select(i => SchemaName.Parse($"{Schema}{i}")).ToList();
        string[] sqls =
        [
            .. Enumerable
                .Range(0, 100)
                .Select(i => $"SELECT '\"$tenant\".', {i} FROM \"$tenant\".t AS t -- \"$tenant\".t"),
            .. Enumerable.Range(0, 100).Select(i => $"UPDATE \"$tenant\".t SET n = {i} WHERE \"$tenant\".f($$x$$)"),
            // Longer than what is kept, with more places than are looked for on the stack.
            string.Concat(Enumerable.Repeat("INSERT INTO \"$tenant\".t (n) VALUES ($1);\n", 1_000)),
        ];
        var small = new QualifiedSqlCache(sets: 16, mostCharacters: 2_000);
        Parallel.For(
            0,
            8,
            caller =>
            {
                var random = new Random(caller);
                for (var i = 0; i < 20_000; i++)
                {
                    var schema = schemas[random.Next(schemas.Count)];
                    // Often one of few, and seldom the long one.
                    var sql = sqls[i % 500 == 0 ? sqls.Length - 1 : random.Next(random.Next(1, sqls.Length - 1))];
                    var expected = sql.Length > 10_000 ? OfLong(schema) : Replaced(sql, schema);
                    Assert.Equal(expected, QualifiedSql.For(sql, schema));
                    Assert.Equal(expected, QualifiedSql.Qualify(sql, schema));
                    Assert.Equal(expected, small.Get(sql, schema));
                }
            }
        );

        static string OfLong(SchemaName schema) =>
            string.Concat(Enumerable.Repeat($"INSERT INTO {schema.Quoted}.t (n) VALUES ($1);\n", 1_000));

        static string Replaced(string sql, SchemaName schema) =>
            sql[0] == 'U'
                ? sql.Replace("\"$tenant\".", schema.Quoted + ".")
                : sql.Replace("FROM \"$tenant\".", $"FROM {schema.Quoted}.");
    }

    [Theory]
    [InlineData(1, 1_000)]
    [InlineData(16, 3_000)]
    [InlineData(16, 1_000_000)]
    [InlineData(16, 0)]
    public void What_is_kept_is_bounded_in_number_and_in_text(int sets, long mostCharacters)
    {
        var cache = new QualifiedSqlCache(sets, mostCharacters);
        Parallel.For(
            0,
            4,
            caller =>
            {
                for (var i = 0; i < 5_000; i++)
                {
                    var sql = $"SELECT {caller * i} FROM \"$tenant\".t";
                    Assert.Equal($"SELECT {caller * i} FROM {Name.Quoted}.t", cache.Get(sql, Name));
                }
            }
        );

        var last = "SELECT -1 FROM \"$tenant\".t";
        var first = cache.Get(last, Name);
        Assert.Equal(mostCharacters > 0, ReferenceEquals(first, cache.Get(last, Name)));
        Assert.InRange(cache.Count, mostCharacters > 0 ? 1 : 0, sets * 4);
        Assert.InRange(cache.Characters, cache.Count, mostCharacters);
    }

    [Fact]
    public void Of_a_thousand_tenants_with_three_statements_each_nearly_all_is_kept()
    {
        var schemas = Enumerable.Range(0, 1_000).Select(i => SchemaName.Parse($"tenant_kept{i}")).ToList();
        string[] sqls =
        [
            .. Enumerable.Range(0, 3).Select(i => $"SELECT {i} FROM \"$tenant\".kept {new string(' ', 300)}"),
        ];
        var cache = new QualifiedSqlCache(sets: 4_096, mostCharacters: 8 * 1024 * 1024);
        var first = All();
        var again = All();

        // By the hashes' chance less than one in a hundred.
        Assert.InRange(first.Zip(again, ReferenceEquals).Count(same => same), first.Count * 95 / 100, first.Count);

        List<string> All() => [.. schemas.SelectMany(schema => sqls.Select(sql => cache.Get(sql, schema)))];
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
