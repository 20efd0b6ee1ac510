using System.Text;

namespace NeoCommons.EfCore.Admin;

/// <summary>Pending migrations as a script for psql, with the guards that the migrator itself has.</summary>
internal static class TenantScript
{
    public static string Of(Tenant tenant, MigrationPlan plan, SearchPath searchPath, SchemaMigration migration)
    {
        var text = new StringBuilder();
        text.Append("-- Tenant ").Append(tenant.Slug).Append(", schema ").Append(tenant.Schema.Value).Append(": ");
        if (plan.Pending.Count == 0)
        {
            return text.AppendLine(plan.IsAhead ? "ahead of this application." : "nothing is pending.").ToString();
        }

        text.AppendLine($"{plan.Pending.Count} pending, from {plan.From ?? "nothing"} to {plan.To}.");
        text.AppendLine("\\set ON_ERROR_STOP on");
        text.AppendLine(
            $"SELECT pg_advisory_lock(hashtextextended({Literal(SchemaMigration.LockKey(tenant.Schema))}, 0));"
        );
        var isOpen = false;
        foreach (var step in plan.Pending)
        {
            text.AppendLine().AppendLine($"-- {step.Id} of {step.Context}");
            foreach (var statement in step.Statements)
            {
                Be(statement.IsTransactional);
                text.AppendLine(statement.Sql.TrimEnd().TrimEnd(';')).AppendLine(";");
            }

            Be(inTransaction: true);
            foreach (var sql in migration.Record(step))
            {
                text.AppendLine(sql + ";");
            }
        }

        Be(inTransaction: false);
        return text.ToString();

        void Be(bool inTransaction)
        {
            if (inTransaction == isOpen)
            {
                return;
            }

            isOpen = inTransaction;
            text.AppendLine(inTransaction ? "BEGIN;" : "COMMIT;");
            if (inTransaction)
            {
                // A step may have left another path.
                text.AppendLine(searchPath.BindTo(tenant.Schema, inTransaction: false) + ";");
                text.AppendLine(
                    $"DO $neo$ BEGIN IF current_schema() IS DISTINCT FROM {Literal(tenant.Schema.Value)} THEN RAISE EXCEPTION 'The schema does not exist here.'; END IF; END $neo$;"
                );
            }
        }
    }

    private static string Literal(string text) =>
        string.Concat("'", text.Replace("'", "''", StringComparison.Ordinal), "'");
}
