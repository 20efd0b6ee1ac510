using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants archive</c></summary>
internal sealed class TenantsArchiveCommand : TenantChangeCommand
{
    // A century: a date far behind that is none to the database.
    private const int MostDays = 36_525;

    private readonly Option<double?> _days = new("--retention-days")
    {
        Description = "How many days it cannot be deleted; the configured time, if not given.",
        CustomParser = given =>
            OptionValue.Read<double>(given, $"days from 0 to {MostDays}", days => days is >= 0 and <= MostDays),
    };
    private readonly Option<string?> _reason = NewReason();

    public TenantsArchiveCommand()
        : base("archive", "Puts the tenant away: its schema is renamed and kept for its retention time.")
    {
        Options.Add(_days);
        Options.Add(_reason);
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>()
            .ArchiveAsync(
                tenant.Id,
                run.Value(_days) is { } days ? TimeSpan.FromDays(days) : null,
                run.Value(_reason),
                ct
            )
            .ConfigureAwait(false);
}
