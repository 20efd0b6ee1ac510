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
        : base("delete", "Deletes an archived tenant for good: its schema, its role and its row.")
    {
        foreach (var option in new Option[] { _confirm, _force, _export, _dependants, _reason })
        {
            Options.Add(option);
        }
    }

    public override string AfterCancellation =>
        "Some of its tables may be gone already, and it cannot be restored any more. Repeat the command to finish.";

    protected override void Check(CommandRun run, Tenant tenant)
    {
        if (run.Required(_confirm) != tenant.Slug)
        {
            throw new CommandFailedException(ExitCode.Usage, $"--confirm does not say '{tenant.Slug}'.");
        }

        if (tenant.Status != TenantStatus.Archived)
        {
            throw new CommandFailedException(
                ExitCode.Conflict,
                $"Tenant '{tenant.Slug}' is {TenantReport.Word(tenant.Status)}. Archive it first: tenants archive {tenant.Slug}."
            );
        }
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        var deletion = new TenantDeletion
        {
            ConfirmSlug = run.Required(_confirm),
            Force = run.Value(_force),
            ExportTo = run.Value(_export),
            DropDependants = run.Value(_dependants),
            Reason = run.Value(_reason),
        };
        await run.Get<ITenantProvisioner>().DeleteAsync(tenant.Id, deletion, ct).ConfigureAwait(false);
        return null;
    }
}
