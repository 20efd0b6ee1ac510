using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants script</c></summary>
internal sealed class TenantsScriptCommand : ConsoleCommand
{
    private readonly Argument<string> _tenant = TenantReference.NewArgument();
    private readonly Option<bool> _all = new("--all")
    {
        Description = "All migrations, as for an empty schema; the database is not asked.",
    };

    public TenantsScriptCommand()
        : base("script", "Writes the SQL of a tenant's pending migrations, to be read or executed by hand.")
    {
        Arguments.Add(_tenant);
        Options.Add(_all);
    }

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var tenant = await TenantReference.FindAsync(run, _tenant, ct).ConfigureAwait(false);
        var scripts = run.Get<TenantMigrationScripts>().For(tenant);
        IReadOnlyList<MigrationStep> steps = run.Value(_all)
            ? [.. scripts.SelectMany(s => s.Steps)]
            : await run.Get<PendingMigrations>().ReadAsync(tenant, scripts, ct).ConfigureAwait(false);
        var row =
            await run.Get<IConnectionRegistry>().FindAsync(tenant.ConnectionName, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(tenant.ConnectionName);
        var sql = TenantScript.Of(tenant, steps, row, run.Get<SearchPath>());
        return new CommandResult(
            new
            {
                tenant.Slug,
                Schema = tenant.Schema.Value,
                Connection = tenant.ConnectionName,
                Migrations = steps.Select(s => new { s.Id, s.Context }),
                Sql = sql,
            },
            output => output.Raw(sql)
        );
    }
}
