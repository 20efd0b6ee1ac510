using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

/// <summary>The migrations that one history records, as SQL: generated once and executed for every tenant.</summary>
internal sealed record MigrationScript(HistoryTable History, IReadOnlyList<MigrationStep> Steps)
{
    /// <summary>Whether all of it fits into one transaction.</summary>
    public bool IsTransactional => Steps.All(step => step.IsTransactional);

    public static MigrationScript Of(DbContext context, MigrationRules rules)
    {
        var type = context.GetType();
        if (context.Database.HasPendingModelChanges())
        {
            throw new InvalidOperationException(
                $"The model of {type.Name} has changes that no migration holds. Add one: dotnet ef migrations add <Name> --context {type.Name}."
            );
        }

        MigrationRules.ThrowIfSeeding(context);
        var assembly = context.GetService<IMigrationsAssembly>();
        var options = RelationalOptionsExtension.Extract(context.GetService<IDbContextOptions>());
        var history = HistoryTable.Of(
            context.GetService<IHistoryRepository>(),
            options.MigrationsHistoryTableName ?? HistoryRepository.DefaultTableName
        );
        return new MigrationScript(
            history,
            [
                .. assembly
                    .Migrations.Keys.Order(StringComparer.Ordinal)
                    .Select(id => Generate(context, assembly, id, history, rules)),
            ]
        );
    }

    /// <summary>Makes one script of those that share a history, which is what EF's default name makes them do.</summary>
    public static IReadOnlyList<MigrationScript> Merge(IEnumerable<MigrationScript> scripts) =>
        [.. scripts.GroupBy(s => s.History.Table, StringComparer.Ordinal).Select(g => Join([.. g]))];

    private static MigrationScript Join(IReadOnlyList<MigrationScript> scripts)
    {
        var history = scripts[0].History;
        if (scripts.FirstOrDefault(s => s.History != history) is { } odd)
        {
            throw new InvalidOperationException(
                $"The contexts that share the migrations history {history.Table} name its columns differently: {history} "
                    + $"and {odd.History}. Give one of them a history of its own: UseNpgsql(n => n.MigrationsHistoryTable(\"...\"))."
            );
        }

        var steps = scripts.SelectMany(s => s.Steps).OrderBy(s => s.Id, StringComparer.Ordinal).ToList();
        for (var i = 1; i < steps.Count; i++)
        {
            if (steps[i - 1].Id == steps[i].Id)
            {
                throw new InvalidOperationException(
                    $"{steps[i - 1].Context} and {steps[i].Context} both have a migration '{steps[i].Id}' and share the "
                        + $"history {history.Table}: one would pass for the other. Rename one of the migrations, or give one "
                        + "context a history of its own: UseNpgsql(n => n.MigrationsHistoryTable(\"...\"))."
                );
            }
        }

        return new MigrationScript(history, steps);
    }

    private static MigrationStep Generate(
        DbContext context,
        IMigrationsAssembly assembly,
        string id,
        HistoryTable history,
        MigrationRules rules
    )
    {
        var name = context.GetType().Name;
        var migration = assembly.CreateMigration(assembly.Migrations[id], context.Database.ProviderName!);
        rules.ThrowIfBroken(name, id, migration.UpOperations);
        var model = context
            .GetService<IModelRuntimeInitializer>()
            .Initialize(migration.TargetModel, designTime: true, validationLogger: null);
        var commands = context.GetService<IMigrationsSqlGenerator>().Generate(migration.UpOperations, model);
        var step = new MigrationStep(
            id,
            name,
            history,
            [.. commands.Select(c => new MigrationStatement(c.CommandText, !c.TransactionSuppressed))]
        );
        MigrationRules.ThrowIfUnnamed(step);
        return step;
    }
}
