using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants status</c></summary>
internal sealed class TenantsStatusCommand : ConsoleCommand
{
    private readonly Option<Guid?> _run = new("--run")
    {
        Description = "The run; the newest, if not given.",
        CustomParser = given => OptionValue.Read<Guid>(given, "the id of a run, a UUID"),
    };

    public TenantsStatusCommand()
        : base("status", "Shows how a migration of all tenants stands, whichever process works at it.") =>
        Options.Add(_run);

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var id = run.Value(_run);
        var found = await run.Get<ITenantMigrator>().GetStatusAsync(id, ct).ConfigureAwait(false);
        return found is not null ? RunReport.Of(found)
            : id is null ? None
            : throw new CommandFailedException(
                ExitCode.NotFound,
                $"There is no run {id}. 'tenants status' shows the newest."
            );
    }

    private static CommandResult None { get; } =
        new(
            new { Id = (Guid?)null, Status = "none" },
            output => output.Line("No run was begun yet: 'tenants migrate --all' begins one.")
        );
}
