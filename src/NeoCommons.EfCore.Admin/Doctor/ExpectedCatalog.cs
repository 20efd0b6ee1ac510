using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>What the migrations make of an empty schema, and how another schema differs from it.</summary>
/// <remarks>
/// It keeps out of the way. The schema that it makes is seen by nobody, and is rolled back before anything is compared; a
/// foreign key to a shared table keeps that table's writers waiting for as long, so a lock is waited for only briefly:
/// less than a server's <c>deadlock_timeout</c>, so that in a deadlock it is never the other who loses. What is compared
/// is only read.
/// </remarks>
internal sealed class ExpectedCatalog
{
    private const int Shown = 5;
    private const int Tries = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly string Reading = FormattableString.Invariant(
        $"SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = {(int)Patience.TotalMilliseconds}"
    );

    // A schema's grants and comments are its owner's affair.
    private static readonly string[] Ignored = ["grant", "comment"];

    private readonly Dictionary<(string, string), string> _objects;

    private ExpectedCatalog(IEnumerable<SchemaObject> objects) => _objects = Index(objects);

    /// <summary>Migrates a schema that is rolled back afterwards, and reads its catalog.</summary>
    public static async Task<ExpectedCatalog> BuildAsync(
        NpgsqlConnection connection,
        SearchPath searchPath,
        IReadOnlyList<MigrationScript> scripts,
        TimeProvider time,
        CancellationToken ct
    )
    {
        for (var triesLeft = Tries; ; triesLeft--)
        {
            try
            {
                return await TryBuildAsync(connection, searchPath, scripts, time, ct).ConfigureAwait(false);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable && triesLeft > 1)
            {
                await Task.Delay(Patience, time, ct).ConfigureAwait(false);
            }
        }
    }

    private static async Task<ExpectedCatalog> TryBuildAsync(
        NpgsqlConnection connection,
        SearchPath searchPath,
        IReadOnlyList<MigrationScript> scripts,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var schema = SchemaName.Parse($"neocommons_doctor_{Guid.NewGuid():N}");
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await connection.ExecuteAsync($"CREATE SCHEMA {schema.Quoted}", ct).ConfigureAwait(false);
        var migration = new SchemaMigration(connection, schema, searchPath, time, hasSession: false, Patience);
        await migration.BindAsync(ct).ConfigureAwait(false);
        await migration
            .ApplyInTransactionAsync(scripts.SelectMany(s => s.Steps).Select(Transactional), ct)
            .ConfigureAwait(false);
        return new ExpectedCatalog(await SchemaCatalog.ReadAsync(connection, schema, ct).ConfigureAwait(false));
    }

    /// <summary>How the schema differs; null where it does not.</summary>
    public async Task<string?> DifferenceAsync(NpgsqlConnection connection, SchemaName schema, CancellationToken ct)
    {
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var _ = transaction.ConfigureAwait(false);
        await connection.ExecuteAsync(Reading, ct).ConfigureAwait(false);
        var actual = Index(await SchemaCatalog.ReadAsync(connection, schema, ct).ConfigureAwait(false));
        var differences = new List<string>();
        foreach (var (key, definition) in _objects)
        {
            if (!actual.Remove(key, out var found))
            {
                differences.Add($"{Name(key)} is missing");
            }
            else if (found != definition)
            {
                differences.Add($"{Name(key)} is ({found}) instead of ({definition})");
            }
        }

        differences.AddRange(actual.Keys.Select(key => $"{Name(key)} is no migration's"));
        return differences.Count == 0
            ? null
            : string.Join("; ", differences.Order(StringComparer.Ordinal).Take(Shown))
                + (differences.Count > Shown ? $"; and {differences.Count - Shown} more" : "");
    }

    private static string Name((string Kind, string Name) key) => $"{key.Kind} {key.Name}";

    private static Dictionary<(string, string), string> Index(IEnumerable<SchemaObject> objects) =>
        objects
            .Where(o => !Ignored.Contains(o.Kind, StringComparer.Ordinal))
            .GroupBy(o => (o.Kind, o.Name))
            .ToDictionary(g => g.Key, g => string.Join(" | ", g.Select(o => o.Definition)));

    // In an empty schema nobody waits for an index, and the catalog does not tell how it was built.
    private static MigrationStep Transactional(MigrationStep step) =>
        step with
        {
            Statements = [.. step.Statements.SelectMany(Transactional)],
        };

    private static IEnumerable<MigrationStatement> Transactional(MigrationStatement statement)
    {
        if (statement.IsTransactional)
        {
            return [statement];
        }

        var lone = new LoneStatement(statement.Sql);
        return lone.IsMaintenance ? [] : [new MigrationStatement(lone.InTransaction, IsTransactional: true)];
    }
}
