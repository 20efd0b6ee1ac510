namespace NeoCommons.EfCore;

/// <summary>SQL with a tenant's schema in it, as it was made last: no lock, and bounded in number and in text.</summary>
/// <remarks>
/// Four places for each hash: of 1,000 tenants with 3 statements each, less than one in a hundred is made anew. What was made
/// first leaves first.
/// </remarks>
/// <param name="sets">How many times four may be kept; a power of two.</param>
/// <param name="mostCharacters">How many characters may be kept, of the SQL and of what was made of it.</param>
internal sealed class QualifiedSqlCache(int sets, long mostCharacters)
{
    private const int Ways = 4;

    private readonly Known?[] _slots = new Known?[sets * Ways];
    private long _characters;
    private uint _hand;

    /// <summary>How many characters are kept.</summary>
    public long Characters => Interlocked.Read(ref _characters);

    /// <summary>How many texts are kept.</summary>
    public int Count => _slots.Count(known => known is not null);

    /// <summary>The SQL, with the tenant's schema.</summary>
    public string Get(string sql, SchemaName schema)
    {
        var hash = HashCode.Combine(sql.GetHashCode(StringComparison.Ordinal), schema.GetHashCode());
        var first = (hash & (sets - 1)) * Ways;
        for (var slot = first; slot < first + Ways; slot++)
        {
            if (
                Volatile.Read(ref _slots[slot]) is { } known
                && known.Hash == hash
                && known.Schema.Equals(schema)
                && known.Sql == sql
            )
            {
                return known.Result;
            }
        }

        var made = new Known(hash, sql, schema, QualifiedSql.Qualify(sql, schema));
        Keep(made, first);
        return made.Result;
    }

    private void Keep(Known made, int first)
    {
        // Each is in one slot or in one hand, so that what is counted is what is kept.
        Note(made, +1);
        var leaving = made;
        for (var slot = first; slot < first + Ways && leaving is not null; slot++)
        {
            leaving = Interlocked.Exchange(ref _slots[slot], leaving);
        }

        Note(leaving, -1);
        for (var i = 0; i < _slots.Length && Characters > mostCharacters; i++)
        {
            Note(Interlocked.Exchange(ref _slots[Interlocked.Increment(ref _hand) % (uint)_slots.Length], null), -1);
        }
    }

    private void Note(Known? known, int times)
    {
        if (known is not null)
        {
            Interlocked.Add(ref _characters, times * (known.Sql.Length + known.Result.Length));
        }
    }

    private sealed record Known(int Hash, string Sql, SchemaName Schema, string Result);
}
