namespace NeoCommons.EfCore.Admin;

/// <summary>What a statement does that no transaction may hold, whatever comments stand in it.</summary>
internal sealed class LoneStatement
{
    private const string Concurrently = "CONCURRENTLY";

    private static readonly string[] Maintaining = ["VACUUM", "REINDEX", "CLUSTER"];

    private readonly string _sql;
    private readonly List<Range> _words = [];

    public LoneStatement(string sql)
    {
        _sql = sql;
        for (var at = 0; at < sql.Length; )
        {
            var end = SqlLexer.EndOf(sql, at);
            while (end < sql.Length && SqlLexer.IsOfName(sql[end - 1]) && SqlLexer.IsOfName(sql[end]))
            {
                end++;
            }

            if (sql[at] == '"' || SqlLexer.IsOfName(sql[at]))
            {
                _words.Add(at..end);
            }

            at = end;
        }

        var index = Is(1, "UNIQUE") ? 2 : 1;
        BuildsIndex = Is(0, "CREATE") && Is(index, "INDEX") && Is(index + 1, Concurrently);
        if (BuildsIndex)
        {
            var name = Is(index + 2, "IF") ? index + 5 : index + 2;
            Index = name < _words.Count && !Is(name, "ON") ? sql[_words[name]] : null;
        }
    }

    /// <summary>Whether it builds an index concurrently.</summary>
    public bool BuildsIndex { get; }

    /// <summary>The index that it builds, as it names it; null where it builds none, or leaves the name to the server.</summary>
    public string? Index { get; }

    /// <summary>Whether it drops something.</summary>
    public bool IsDropping => Is(0, "DROP");

    /// <summary>Whether a catalog does not show that it has run.</summary>
    public bool IsMaintenance => Maintaining.Any(word => Is(0, word)) || (Is(0, "ALTER") && Is(1, "SYSTEM"));

    /// <summary>The same for a transaction: without CONCURRENTLY, which only says who may go on meanwhile.</summary>
    public string InTransaction =>
        _words
            .Where((_, n) => Is(n, Concurrently))
            .Reverse()
            .Aggregate(_sql, (sql, word) => sql[..word.Start] + sql[word.End..]);

    private bool Is(int number, string word) =>
        number < _words.Count && _sql.AsSpan()[_words[number]].Equals(word, StringComparison.OrdinalIgnoreCase);
}
