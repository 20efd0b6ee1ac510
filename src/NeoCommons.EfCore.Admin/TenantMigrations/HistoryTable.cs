using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>A migrations history, always named with the schema that it is in.</summary>
/// <remarks>
/// Left to the search path, EF creates it in the first schema that exists and reads whichever it finds first: a history
/// in another schema would make an empty tenant look migrated. The names of its columns are those that EF's own
/// repository would use, so that EF's tools read it too; a naming convention may have changed them.
/// </remarks>
internal sealed partial record HistoryTable
{
    private static readonly string EfVersion = ProductInfo.GetVersion();

    private readonly string _version;

    private HistoryTable(string table, string id, string version)
    {
        Table = table;
        IdColumn = id;
        _version = version;
    }

    /// <summary>The quoted name of the table, without a schema.</summary>
    public string Table { get; }

    /// <summary>The quoted name of the column with the migration's id.</summary>
    public string IdColumn { get; }

    /// <summary>Takes the quoted schema as $1.</summary>
    private string ExistsSql =>
        $"SELECT to_regclass($1 || '.' || '{Table.Replace("'", "''", StringComparison.Ordinal)}') IS NOT NULL";

    public static HistoryTable Of(IHistoryRepository repository, string table)
    {
        var match = Columns().Match(repository.GetInsertScript(new HistoryRow("id", "version")));
        return match.Success
            ? new HistoryTable(Quote(table), Quote(match.Groups["id"].Value), Quote(match.Groups["version"].Value))
            : throw new NotSupportedException(
                $"The migrations history of {repository.GetType().Name} has a form that is not known here. Remove the "
                    + "replacement of IHistoryRepository."
            );
    }

    public string CreateSql(SchemaName schema) =>
        $"CREATE TABLE IF NOT EXISTS {schema.Quoted}.{Table} ({IdColumn} character varying(150) PRIMARY KEY, "
        + $"{_version} character varying(32) NOT NULL)";

    private string SelectSql(SchemaName schema) =>
        $"SELECT {IdColumn} FROM {schema.Quoted}.{Table} ORDER BY {IdColumn}";

    /// <summary>Records a migration as applied.</summary>
    public string InsertSql(SchemaName schema, string id) =>
        $"INSERT INTO {schema.Quoted}.{Table} ({IdColumn}, {_version}) VALUES ({Literal(id)}, {Literal(EfVersion)})";

    /// <summary>The migrations that it records in a schema, in order; null where the schema has no such table.</summary>
    public async Task<IReadOnlyList<string>?> ReadAsync(
        NpgsqlConnection connection,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var exists = new NpgsqlCommand(ExistsSql, connection) { Parameters = { new() { Value = schema.Quoted } } };
        await using var _ = exists.ConfigureAwait(false);
        if (await exists.ExecuteScalarAsync(ct).ConfigureAwait(false) is not true)
        {
            return null;
        }

        var ids = new List<string>();
        var command = new NpgsqlCommand(SelectSql(schema), connection);
        await using var __ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var ___ = reader.ConfigureAwait(false);
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            ids.Add(reader.GetString(0));
        }

        return ids;
    }

    public override string ToString() => $"{Table} ({IdColumn}, {_version})";

    private static string Literal(string text) =>
        string.Concat("'", text.Replace("'", "''", StringComparison.Ordinal), "'");

    private static string Quote(string name) =>
        string.Concat("\"", name.Trim('"').Replace("\"", "\"\"", StringComparison.Ordinal), "\"");

    [GeneratedRegex("""\(\s*(?<id>"?\w+"?)\s*,\s*(?<version>"?\w+"?)\s*\)""")]
    private static partial Regex Columns();
}
