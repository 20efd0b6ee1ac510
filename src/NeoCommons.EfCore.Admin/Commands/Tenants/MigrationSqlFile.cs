using System.Text;
using Microsoft.EntityFrameworkCore.Infrastructure;

namespace NeoCommons.EfCore.Admin;

/// <summary>Migrations of one tenant as a file for <c>psql</c>: what the migrator would execute, histories included.</summary>
internal static class MigrationSqlFile
{
    public static string Write(Tenant tenant, SearchPath searchPath, IReadOnlyList<MigrationStep> steps)
    {
        // A slug and a schema's name hold no line break, so neither ends a comment.
        var sql = new StringBuilder()
            .AppendLine($"-- Tenant {tenant.Slug}, schema {tenant.Schema.Quoted}: {steps.Count} migrations")
            .AppendLine("\\set ON_ERROR_STOP on");
        var bind = searchPath.BindTo(tenant.Schema, inTransaction: false) + ";";
        var open = false;
        foreach (var step in steps)
        {
            sql.AppendLine().AppendLine($"-- {step.Id} ({step.Context})");
            Begin();
            sql.AppendLine(bind);
            foreach (var statement in step.Statements)
            {
                if (statement.IsTransactional)
                {
                    Begin();
                }
                else
                {
                    Commit();
                }

                sql.AppendLine(Terminated(statement.Sql));
            }

            Begin();
            sql.AppendLine(step.History.CreateSql(tenant.Schema) + ";")
                .AppendLine(
                    step.History.InsertSql(tenant.Schema, Literal(step.Id), Literal(ProductInfo.GetVersion())) + ";"
                );
        }

        Commit();
        return sql.ToString();

        void Begin()
        {
            if (!open)
            {
                sql.AppendLine("BEGIN;");
                open = true;
            }
        }

        void Commit()
        {
            if (open)
            {
                sql.AppendLine("COMMIT;");
                open = false;
            }
        }
    }

    // On a line of its own: the statement may end in a comment.
    private static string Terminated(string sql) =>
        sql.TrimEnd() is var text && text.EndsWith(';') ? text : text + "\n;";

    private static string Literal(string text) => "'" + text.Replace("'", "''", StringComparison.Ordinal) + "'";
}
