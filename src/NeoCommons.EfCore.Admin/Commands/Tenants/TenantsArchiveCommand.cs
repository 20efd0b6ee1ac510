using System.CommandLine;
using Microsoft.Extensions.Options;

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
        : base(
            TenantLifecycleAction.Archive,
            "Puts the tenant away: its schema is renamed and kept for its retention time."
        )
    {
        Options.Add(_days);
        Options.Add(_reason);
    }

    protected override async Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct)
    {
        if (TenantTransition.IsDone(TenantLifecycleAction.Archive, tenant.Status))
        {
            return new TenantForecast(TenantReport.Of(tenant), "It is archived already.");
        }

        var retention = RetentionOf(run) ?? run.Get<IOptions<TenantLifecycleOptions>>().Value.Retention;
        var after = tenant with
        {
            Status = TenantStatus.Archived,
            Schema = TenantStates.ArchiveNameOf(tenant.Slug, tenant.Id.Value),
        };
        await run.Get<TenantStates>().CheckAsync(tenant, after.Schema, ct).ConfigureAwait(false);
        return new TenantForecast(
            TenantReport.Of(after),
            $"It could not be deleted before {run.Get<TimeProvider>().GetUtcNow() + retention:u}."
        );
    }

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>()
            .ArchiveAsync(tenant.Id, RetentionOf(run), run.Value(_reason), ct)
            .ConfigureAwait(false);

    private TimeSpan? RetentionOf(CommandRun run) => run.Value(_days) is { } days ? TimeSpan.FromDays(days) : null;
}
