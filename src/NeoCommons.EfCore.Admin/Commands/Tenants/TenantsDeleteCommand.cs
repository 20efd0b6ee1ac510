using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants delete</c></summary>
internal sealed class TenantsDeleteCommand : TenantChangeCommand
{
    private readonly Option<string> _confirm = new("--confirm")
    {
        Description = "The tenant's slug, once more.",
        HelpName = "slug",
        Required = true,
    };
    private readonly Option<bool> _force = new("--force")
    {
        Description = "Delete it although its retention time has not passed.",
    };
    private readonly Option<string?> _export = new("--export")
    {
        Description = "A new file that pg_dump writes the schema to before it is dropped.",
        HelpName = "file",
    };
    private readonly Option<bool> _dependants = new("--drop-dependants")
    {
        Description = "Drop also what in other schemas depends on the tenant's: views, foreign keys.",
    };
    private readonly Option<string?> _reason = NewReason();

    public TenantsDeleteCommand()
        : base(TenantLifecycleAction.Delete, "Deletes an archived tenant for good: its schema, its role and its row.")
    {
        foreach (var option in new Option[] { _confirm, _force, _export, _dependants, _reason })
        {
            Options.Add(option);
        }
    }

    public override string AfterCancellation =>
        "Some of its tables may be gone already, and it cannot be restored any more. Repeat the command to finish.";

    protected override async Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        var deletion = OrderOf(run, tenant);
        var until = await run.Get<TenantRemoval>().CheckAsync(tenant.Id, deletion, ct).ConfigureAwait(false);
        var notes = new List<string>
        {
            deletion.ExportTo is { } file
                ? $"First pg_dump would write schema '{tenant.Schema}' to '{file}'."
                : "Nothing would be kept of its data: --export names a file for it.",
        };
        if (until > run.Get<TimeProvider>().GetUtcNow())
        {
            notes.Add($"It would be deleted although it is to be kept until {until:u}, because of --force.");
        }

        if (deletion.DropDependants)
        {
            notes.Add("What in other schemas depends on it would be dropped too, because of --drop-dependants.");
        }

        return new TenantForecast(null, notes);
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        await run.Get<ITenantProvisioner>().DeleteAsync(tenant.Id, OrderOf(run, tenant), ct).ConfigureAwait(false);
        return null;
    }

    private TenantDeletion OrderOf(CommandRun run, Tenant tenant) =>
        run.Required(_confirm) == tenant.Slug
            ? new TenantDeletion
            {
                ConfirmSlug = tenant.Slug,
                Force = run.Value(_force),
                ExportTo = run.Value(_export),
                DropDependants = run.Value(_dependants),
                Reason = run.Value(_reason),
            }
            : throw new CommandFailedException(
                ExitCode.Usage,
                $"--confirm does not say '{tenant.Slug}'. Nothing was deleted."
            );
}
