using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

/// <summary>The migrations of one context type as SQL, generated once and executed for every tenant.</summary>
internal sealed record MigrationScript(Type ContextType, HistoryTable History, IReadOnlyList<MigrationStep> Steps)
{
    /// <summary>Whether all of it fits into one transaction.</summary>
    public bool IsTransactional => Steps.All(step => step.Statements.All(s => s.IsTransactional));

    public static MigrationScript Of(DbContext context)
    {
        var type = context.GetType();
        if (context.Database.HasPendingModelChanges())
        {
            throw new InvalidOperationException(
                $"The model of {type.Name} has changes that no migration holds. Add one: dotnet ef migrations add <Name> --context {type.Name}."
            );
        }

        var assembly = context.GetService<IMigrationsAssembly>();
        var options = RelationalOptionsExtension.Extract(context.GetService<IDbContextOptions>());
        var history = HistoryTable.Of(
            context.GetService<IHistoryRepository>(),
            options.MigrationsHistoryTableName ?? HistoryRepository.DefaultTableName
        );
        return new MigrationScript(
            type,
            history,
            [
                .. assembly
                    .Migrations.OrderBy(m => m.Key, StringComparer.Ordinal)
                    .Select(m => Generate(context, assembly, m.Key)),
            ]
        );
    }

    private static MigrationStep Generate(DbContext context, IMigrationsAssembly assembly, string id)
    {
        var migration = assembly.CreateMigration(assembly.Migrations[id], context.Database.ProviderName!);
        var model = context
            .GetService<IModelRuntimeInitializer>()
            .Initialize(migration.TargetModel, designTime: true, validationLogger: null);
        var commands = context.GetService<IMigrationsSqlGenerator>().Generate(migration.UpOperations, model);
        return new MigrationStep(
            id,
            [.. commands.Select(c => new MigrationStatement(c.CommandText, !c.TransactionSuppressed))]
        );
    }
}
