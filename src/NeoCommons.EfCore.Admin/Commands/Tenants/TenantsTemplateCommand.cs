using System.CommandLine;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants template</c></summary>
internal sealed class TenantsTemplateCommand : ConsoleCommand
{
    private readonly Argument<string> _connection = new("connection")
    {
        Description = "The connection whose database gets the template.",
    };
    private readonly Option<bool> _dryRun = NewDryRun();

    public TenantsTemplateCommand()
        : base("template", "Makes the schema that 'tenants create --from-template' copies, or migrates it.")
    {
        Arguments.Add(_connection);
        Options.Add(_dryRun);
    }

    public override string AfterCancellation =>
        "Migrations that were applied stay; repeat the command, and it goes on with the next.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var connection = run.Required(_connection);
        var schema = run.Get<IOptions<SchemaNaming>>().Value.Resolve(SchemaKind.Template).Value;
        var pending = await run.Get<TemplateRefresh>().FindPendingAsync(connection, ct).ConfigureAwait(false);
        var dryRun = run.Value(_dryRun);
        if (!dryRun)
        {
            await run.Get<ITenantProvisioner>().RefreshTemplateAsync(connection, ct).ConfigureAwait(false);
        }

        return new CommandResult(
            new
            {
                DryRun = dryRun,
                Connection = connection,
                Schema = schema,
                Pending = dryRun ? pending : [],
                Applied = dryRun ? [] : pending,
            },
            output =>
                output.Line(
                    pending.Count == 0
                        ? $"Template '{schema}' of connection '{connection}' is up to date."
                        : $"{(dryRun ? "Would apply" : "Applied")} to template '{schema}' of connection '{connection}': "
                            + $"{string.Join(", ", pending)}.{(dryRun ? " Nothing was changed." : "")}"
                )
        );
    }
}
