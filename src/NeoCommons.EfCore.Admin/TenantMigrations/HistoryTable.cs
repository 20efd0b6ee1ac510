using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

/// <summary>A migrations history, always named with the schema that it is in.</summary>
/// <remarks>
/// Left to the search path, EF creates it in the first schema that exists and reads whichever it finds first: a history
/// in another schema would make an empty tenant look migrated. The names of its columns are those that EF's own
/// repository would use, so that EF's tools read it too; a naming convention may have changed them.
/// </remarks>
internal sealed partial record HistoryTable
{
    private readonly string _id;
    private readonly string _version;

    private HistoryTable(string table, string id, string version)
    {
        Table = table;
        _id = id;
        _version = version;
    }

    /// <summary>The quoted name of the table, without a schema.</summary>
    public string Table { get; }

    /// <summary>Takes the quoted schema as $1.</summary>
    public string ExistsSql =>
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
        $"CREATE TABLE IF NOT EXISTS {schema.Quoted}.{Table} ({_id} character varying(150) PRIMARY KEY, "
        + $"{_version} character varying(32) NOT NULL)";

    public string SelectSql(SchemaName schema) => $"SELECT {_id} FROM {schema.Quoted}.{Table} ORDER BY {_id}";

    /// <summary>Takes the id as $1 and EF's version as $2, unless their SQL is given.</summary>
    public string InsertSql(SchemaName schema, string id = "$1", string version = "$2") =>
        $"INSERT INTO {schema.Quoted}.{Table} ({_id}, {_version}) VALUES ({id}, {version})";

    public override string ToString() => $"{Table} ({_id}, {_version})";

    private static string Quote(string name) =>
        string.Concat("\"", name.Trim('"').Replace("\"", "\"\"", StringComparison.Ordinal), "\"");

    [GeneratedRegex("""\(\s*(?<id>"?\w+"?)\s*,\s*(?<version>"?\w+"?)\s*\)""")]
    private static partial Regex Columns();
}
