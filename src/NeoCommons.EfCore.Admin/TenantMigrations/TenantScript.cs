using System.Text;

namespace NeoCommons.EfCore.Admin;

/// <summary>Pending migrations as a script for psql, with the guards that the migrator itself has.</summary>
internal static class TenantScript
{
    public static string Of(Tenant tenant, IReadOnlyList<MigrationStep> steps, SearchPath searchPath)
    {
        var text = new StringBuilder();
        text.Append("-- Tenant ").Append(tenant.Slug).Append(", schema ").Append(tenant.Schema.Value).Append(": ");
        if (steps.Count == 0)
        {
            return text.AppendLine("nothing is pending.").ToString();
        }

        text.AppendLine($"{steps.Count} migrations, up to {steps[^1].Id}.");
        text.AppendLine("\\set ON_ERROR_STOP on");
        text.AppendLine(
            $"SELECT pg_advisory_lock(hashtextextended({Literal(SchemaMigration.LockKey(tenant.Schema))}, 0));"
        );
        var isOpen = false;
        foreach (var step in steps)
        {
            text.AppendLine().AppendLine($"-- {step.Id} of {step.Context}");
            foreach (var statement in step.Statements)
            {
                Be(statement.IsTransactional);
                text.AppendLine(statement.Sql.TrimEnd().TrimEnd(';')).AppendLine(";");
            }

            Be(inTransaction: true);
            text.AppendLine(step.History.CreateSql(tenant.Schema) + ";")
                .AppendLine(step.History.InsertSql(tenant.Schema, step.Id) + ";");
        }

        return text.AppendLine("COMMIT;").ToString();

        // A step may have left another path, and what runs outside of a transaction is bound and guarded each time.
        void Be(bool inTransaction)
        {
            if (inTransaction && isOpen)
            {
                return;
            }

            if (isOpen)
            {
                text.AppendLine("COMMIT;");
            }

            isOpen = inTransaction;
            if (inTransaction)
            {
                text.AppendLine("BEGIN;");
            }

            text.AppendLine(searchPath.BindTo(tenant.Schema, inTransaction: false) + ";");
            text.AppendLine(
                $"DO $neo$ BEGIN IF current_schema() IS DISTINCT FROM {Literal(tenant.Schema.Value)} THEN RAISE EXCEPTION 'The schema does not exist here.'; END IF; END $neo$;"
            );
        }
    }

    private static string Literal(string text) =>
        string.Concat("'", text.Replace("'", "''", StringComparison.Ordinal), "'");
}
