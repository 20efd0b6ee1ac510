using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants limits</c></summary>
internal sealed class TenantsLimitsCommand : TenantChangeCommand
{
    private readonly Option<int?> _connections = Number("--max-connections", 1, 1024, "Connections at the same time.");
    private readonly Option<int?> _waiting = Number("--max-waiting", 0, 100_000, "Callers that wait for one.");
    private readonly Option<int?> _timeout = Number(
        "--statement-timeout-ms",
        1,
        86_400_000,
        "How long a statement may run, in milliseconds."
    );
    private readonly Option<int?> _commands = Number("--commands-per-second", 1, 1_000_000, "Commands of EF.");
    private readonly Option<bool> _clear = new("--clear")
    {
        Description = "Take off the limits that are not given here: the application's defaults hold for them.",
    };

    public TenantsLimitsCommand()
        : base(
            TenantLifecycleAction.Limit,
            "Says what the tenant may take, in each process; what is not given stays as it is.",
            "limits"
        )
    {
        foreach (var option in new Option[] { _connections, _waiting, _timeout, _commands, _clear })
        {
            Options.Add(option);
        }
    }

    protected override Task<TenantForecast> CheckAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        Task.FromResult(new TenantForecast(TenantReport.Of(tenant with { Limits = LimitsOf(run, tenant) })));

    protected override async Task<Tenant?> ChangeAsync(CommandRun run, Tenant tenant, CancellationToken ct) =>
        await run.Get<ITenantProvisioner>().LimitAsync(tenant.Id, LimitsOf(run, tenant), ct).ConfigureAwait(false);

    private TenantLimits LimitsOf(CommandRun run, Tenant tenant)
    {
        if (!new Option[] { _connections, _waiting, _timeout, _commands, _clear }.Any(run.IsGiven))
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                "Say what is to change: --max-connections, --max-waiting, --statement-timeout-ms, --commands-per-second or --clear. "
                    + "'tenants show' shows the limits."
            );
        }

        var known = run.Value(_clear) ? TenantLimits.None : tenant.Limits;
        return new TenantLimits
        {
            MaxConnections = run.Value(_connections) ?? known.MaxConnections,
            MaxWaiting = run.Value(_waiting) ?? known.MaxWaiting,
            StatementTimeout = run.Value(_timeout) is { } ms ? TimeSpan.FromMilliseconds(ms) : known.StatementTimeout,
            CommandsPerSecond = run.Value(_commands) ?? known.CommandsPerSecond,
        };
    }

    private static Option<int?> Number(string name, int least, int most, string description) =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            CustomParser = given =>
                OptionValue.Read<int>(
                    given,
                    FormattableString.Invariant($"a whole number, {least} to {most}"),
                    value => value >= least && value <= most
                ),
        };
}
