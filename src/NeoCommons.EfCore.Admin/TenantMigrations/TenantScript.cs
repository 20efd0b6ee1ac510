using System.Text;

namespace NeoCommons.EfCore.Admin;

/// <summary>Pending migrations as a script for psql, with the guards that the migrator itself has.</summary>
internal sealed class TenantScript
{
    private readonly StringBuilder _text = new();
    private readonly string _lock;
    private readonly string _bind;
    private readonly bool _hasSession;
    private bool _isOpen;

    private TenantScript(SchemaName schema, SearchPath searchPath, bool hasSession)
    {
        _hasSession = hasSession;
        _lock =
            $"SELECT pg_advisory_{(hasSession ? "" : "xact_")}lock(hashtextextended({Literal(SchemaMigration.LockKey(schema))}, 0));";
        _bind =
            searchPath.BindTo(schema, inTransaction: !hasSession)
            + $";\nDO $neo$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = current_schema() AND nspname = {Literal(schema.Value)}) THEN RAISE EXCEPTION 'The schema does not exist here.'; END IF; END $neo$;";
    }

    /// <exception cref="InvalidOperationException">Behind the row's transaction pooler, a step cannot be executed.</exception>
    public static string Of(
        Tenant tenant,
        IReadOnlyList<MigrationStep> steps,
        DatabaseConnection row,
        SearchPath searchPath
    )
    {
        var head = $"-- Tenant {tenant.Slug}, schema {tenant.Schema.Value}: ";
        if (steps.Count == 0)
        {
            return head + "nothing is pending.\n";
        }

        var script = new TenantScript(tenant.Schema, searchPath, row.Pooler != PoolerMode.Transaction);
        if (!script._hasSession)
        {
            MigrationStep.ThrowIfNotTransactional(steps, row);
        }

        script._text.AppendLine(
            head + $"{steps.Count} {(steps.Count == 1 ? "migration" : "migrations")}, up to {steps[^1].Id}."
        );
        script._text.AppendLine("\\set ON_ERROR_STOP on");
        script.Write(tenant.Schema, steps);
        return script._text.ToString();
    }

    private void Write(SchemaName schema, IReadOnlyList<MigrationStep> steps)
    {
        if (_hasSession)
        {
            _text.AppendLine(_lock);
        }

        foreach (var step in steps)
        {
            _text.AppendLine().AppendLine($"-- {step.Id} of {step.Context}");
            if (!_hasSession && _isOpen)
            {
                _text.AppendLine(_bind);
            }

            foreach (var statement in step.Statements)
            {
                Be(statement.IsTransactional);
                _text.AppendLine(statement.Sql.TrimEnd().TrimEnd(';')).AppendLine(";");
            }

            Be(inTransaction: true);
            _text
                .AppendLine(step.History.CreateSql(schema) + ";")
                .AppendLine(step.History.InsertSql(schema, step.Id) + ";");
        }

        _text.AppendLine("COMMIT;");
    }

    // A step may have left another path, and what runs outside of a transaction is bound and guarded each time.
    private void Be(bool inTransaction)
    {
        if (inTransaction && _isOpen)
        {
            return;
        }

        if (_isOpen)
        {
            _text.AppendLine("COMMIT;");
        }

        _isOpen = inTransaction;
        if (inTransaction)
        {
            _text.AppendLine("BEGIN;");
            if (!_hasSession)
            {
                _text.AppendLine(_lock);
            }
        }

        _text.AppendLine(_bind);
    }

    private static string Literal(string text) =>
        string.Concat("'", text.Replace("'", "''", StringComparison.Ordinal), "'");
}
