using System.CommandLine;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants create</c></summary>
internal sealed class TenantsCreateCommand : ConsoleCommand
{
    private readonly Argument<string> _slug = new("slug")
    {
        Description = "The slug: a to z, digits, hyphens; 2 to 40.",
    };
    private readonly Option<string?> _connection = new("--connection")
    {
        Description = "The registered connection whose database is to hold the tenant; one with room, if not given.",
    };
    private readonly Option<string?> _name = new("--name")
    {
        Description = "The name for people; the slug, if not given.",
    };
    private readonly Option<string?> _type = new("--type")
    {
        Description = "The type, which decides which contexts it has.",
    };
    private readonly Option<string?> _region = new("--region")
    {
        Description = "The region; the connection's, if not given.",
    };
    private readonly Option<Guid?> _id = new("--id")
    {
        Description = "The id; a new one, if not given.",
        CustomParser = given => OptionValue.Read<Guid>(given, "a UUID", id => id != Guid.Empty),
    };
    private readonly Option<bool> _fromTemplate = new("--from-template")
    {
        Description = "Copy the template of the database, which 'tenants template' makes.",
    };
    private readonly Option<bool> _copyRows = new("--copy-rows") { Description = "Copy the template's rows too." };
    private readonly Option<bool> _dryRun = NewDryRun();

    public TenantsCreateCommand()
        : base("create", "Creates a tenant: its row, its schema and its tables, or nothing.")
    {
        Arguments.Add(_slug);
        foreach (
            var option in new Option[] { _connection, _name, _type, _region, _id, _fromTemplate, _copyRows, _dryRun }
        )
        {
            Options.Add(option);
        }
    }

    public override string AfterCancellation =>
        "The tenant is there whole, or not at all, or as 'provisioning': repeat the command, and it goes on where it stopped.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var slug = run.Required(_slug);
        var tenant = new NewTenant
        {
            Slug = slug,
            Name = run.Value(_name) ?? slug,
            ConnectionName = run.Value(_connection),
            TenantType = run.Value(_type),
            RegionId = run.Value(_region),
            Source = run.Value(_fromTemplate) ? TenantSource.Template : TenantSource.Migrations,
            CopyRows = run.Value(_copyRows),
            Id = run.Value(_id) is { } id ? new TenantId(id) : null,
        };
        if (tenant is { CopyRows: true, Source: TenantSource.Migrations })
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                "--copy-rows copies the rows of the template: give --from-template too."
            );
        }

        if (run.Value(_dryRun))
        {
            return await CheckAsync(run, tenant, ct).ConfigureAwait(false);
        }

        var created = TenantReport.Of(
            await run.Get<ITenantProvisioner>().CreateAsync(tenant, ct).ConfigureAwait(false)
        );
        return new CommandResult(created, created.Write);
    }

    private static async Task<CommandResult> CheckAsync(CommandRun run, NewTenant tenant, CancellationToken ct)
    {
        var schema = run.Get<IOptions<SchemaNaming>>().Value.ForTenant(tenant.Slug).Value;
        var migrations = run.Get<TenantMigrationScripts>().For(tenant.TenantType).Sum(script => script.Steps.Count);
        if (await run.Get<ITenantStore>().FindBySlugAsync(tenant.Slug, ct).ConfigureAwait(false) is { } known)
        {
            throw new TenantConflictException(
                tenant.Slug,
                $"Slug '{tenant.Slug}' is taken by a tenant that is {TenantReport.Word(known.Status)}. Choose another slug."
            );
        }

        // The lease of the database that it would go to: it is there, active, and has room.
        var place = await run.Get<TenantPlacing>().AcquireAsync(tenant, ct).ConfigureAwait(false);
        var connection = place.Row.Name;
        try
        {
            await CheckTemplateAsync(run, tenant, place, ct).ConfigureAwait(false);
        }
        finally
        {
            place.Release();
        }

        return new CommandResult(
            new
            {
                DryRun = true,
                tenant.Slug,
                Schema = schema,
                Connection = connection,
                Source = TenantReport.Word(tenant.Source),
                Migrations = migrations,
            },
            output =>
                output.Line(
                    $"Would create tenant '{tenant.Slug}' in schema '{schema}' of connection '{connection}', {(tenant.Source == TenantSource.Template ? "copied from the template, " : "")}with "
                        + $"{CommandOutput.Count(migrations, "migration")}. Nothing was changed."
                )
        );
    }

    private static async Task CheckTemplateAsync(
        CommandRun run,
        NewTenant tenant,
        PooledDataSource place,
        CancellationToken ct
    )
    {
        if (tenant.Source != TenantSource.Template)
        {
            return;
        }

        var connection = await run.Get<ConnectionOpening>()
            .OpenNewAsync(place, pooled: false, ct)
            .ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var template = run.Get<IOptions<SchemaNaming>>().Value.Resolve(SchemaKind.Template);
        await SchemaCopy.ThrowIfNoneAsync(connection, template, tenant.Slug, ct).ConfigureAwait(false);
    }
}
