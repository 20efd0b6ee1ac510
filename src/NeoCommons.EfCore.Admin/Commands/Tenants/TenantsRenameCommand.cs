using System.CommandLine;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants rename</c></summary>
internal sealed class TenantsRenameCommand : TenantChangeCommand
{
    private readonly Option<string?> _slug = new("--slug") { Description = "The new slug." };
    private readonly Option<string?> _name = new("--name") { Description = "The new name for people." };
    private readonly Option<bool> _schema = new("--schema")
    {
        Description = "Rename the schema too; open contexts find no tables any more.",
    };

    public TenantsRenameCommand()
        : base(
            TenantLifecycleAction.Rename,
            "Gives the tenant another slug or name, and its schema another name if asked."
        )
    {
        Options.Add(_slug);
        Options.Add(_name);
        Options.Add(_schema);
    }

    protected override async Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        var order = OrderOf(run);
        var naming = run.Get<IOptions<SchemaNaming>>().Value;
        var after = tenant with { Slug = order.Slug ?? tenant.Slug, Name = order.Name ?? tenant.Name };
        naming.ForTenant(after.Slug);
        TenantReservation.ThrowIfInvalidName(after.Name);
        if (
            await run.Get<ITenantStore>().FindBySlugAsync(after.Slug, ct).ConfigureAwait(false) is { } other
            && other.Id != tenant.Id
        )
        {
            throw TenantStates.SlugTaken(after.Slug);
        }

        if (order.RenameSchema)
        {
            var schema = await run.Get<AdminReads>()
                .ReadAsync(
                    (db, token) => TenantAudit.ChooseSchemaAsync(db, naming, after.Slug, tenant.Id.Value, token),
                    ct
                )
                .ConfigureAwait(false);
            await run.Get<TenantStates>().CheckAsync(tenant, schema, ct).ConfigureAwait(false);
            after = after with { Schema = schema };
        }

        return new TenantForecast(TenantReport.Of(after));
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().RenameAsync(tenant.Id, OrderOf(run), ct).ConfigureAwait(false);

    private TenantRename OrderOf(CommandRun run)
    {
        var order = new TenantRename
        {
            Slug = run.Value(_slug),
            Name = run.Value(_name),
            RenameSchema = run.Value(_schema),
        };
        return order is { Slug: null, Name: null, RenameSchema: false }
            ? throw new CommandFailedException(ExitCode.Usage, "Say what is to change: --slug, --name or --schema.")
            : order;
    }
}
