using System.CommandLine;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>admin migrate</c></summary>
internal sealed class AdminMigrateCommand : ConsoleCommand
{
    private const string HistoryExists =
        $"SELECT to_regclass('{SchemaNaming.AdminSchema}.\"{HistoryRepository.DefaultTableName}\"') IS NOT NULL AS \"Value\"";

    private readonly Option<bool> _dryRun = NewDryRun();

    public AdminMigrateCommand()
        : base("migrate", "Brings the schema 'admin' up to date.") => Options.Add(_dryRun);

    public override string AfterCancellation =>
        "Migrations that were applied stay; repeat the command, and it goes on with the next.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var pending = await FindPendingAsync(run, ct).ConfigureAwait(false);
        var dryRun = run.Value(_dryRun);
        if (!dryRun)
        {
            await run.Get<AdminMigration>().MigrateAsync(ct).ConfigureAwait(false);
        }

        return new CommandResult(
            new
            {
                DryRun = dryRun,
                Pending = dryRun ? pending : [],
                Applied = dryRun ? [] : pending,
            },
            output =>
                output.Line(
                    pending.Count == 0
                        ? "Schema 'admin' is up to date."
                        : $"{(dryRun ? "Would apply" : "Applied")} to schema 'admin': {string.Join(", ", pending)}."
                            + (dryRun ? " Nothing was changed." : "")
                )
        );
    }

    private static async Task<IReadOnlyList<string>> FindPendingAsync(CommandRun run, CancellationToken ct)
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);

        // EF looks for its history by reading it, and logs an error where there is none.
        var applied = await context.Database.SqlQueryRaw<bool>(HistoryExists).SingleAsync(ct).ConfigureAwait(false)
            ? await context.Database.GetAppliedMigrationsAsync(ct).ConfigureAwait(false)
            : [];
        return [.. context.Database.GetMigrations().Except(applied)];
    }
}
