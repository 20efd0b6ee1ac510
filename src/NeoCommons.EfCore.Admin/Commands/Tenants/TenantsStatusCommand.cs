using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants status</c></summary>
internal sealed class TenantsStatusCommand : ConsoleCommand
{
    private readonly Option<Guid?> _run = new("--run") { Description = "The run; the newest, if not given." };

    public TenantsStatusCommand()
        : base("status", "Shows how a migration of all tenants stands, whichever process works at it.") =>
        Options.Add(_run);

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var found = await run.Get<ITenantMigrator>().GetStatusAsync(run.Value(_run), ct).ConfigureAwait(false);
        return found is not null
            ? RunReport.Of(found) with
            {
                ExitCode = ExitCode.Ok,
            }
            : throw new CommandFailedException(
                ExitCode.NotFound,
                run.Value(_run) is { } id
                    ? $"There is no run {id}. 'tenants status' shows the newest."
                    : "No run was begun yet: 'tenants migrate --all' begins one."
            );
    }
}
