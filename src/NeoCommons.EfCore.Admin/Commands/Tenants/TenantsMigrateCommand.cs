using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants migrate</c></summary>
internal sealed class TenantsMigrateCommand : ConsoleCommand
{
    private const string AtLeastOne = "a number of at least 1";

    // In milliseconds it is an integer of the server's.
    private const int LongestLockTimeout = int.MaxValue / 1_000;
    private static readonly MigrateAllOptions Defaults = new();

    private readonly Argument<string?> _tenant = new("tenant")
    {
        Description = "The slug of one tenant, or its id.",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private readonly Option<bool> _all = new("--all") { Description = "Every active and suspended tenant." };
    private readonly Option<int> _parallelism = new("--parallelism")
    {
        Description = "Tenants at a time.",
        DefaultValueFactory = _ => Defaults.Parallelism,
        CustomParser = given => OptionValue.Read<int>(given, AtLeastOne, n => n >= 1),
    };
    private readonly Option<int> _perServer = new("--per-server")
    {
        Description = "Tenants at a time on one server.",
        DefaultValueFactory = _ => Defaults.ParallelismPerServer,
        CustomParser = given => OptionValue.Read<int>(given, AtLeastOne, n => n >= 1),
    };
    private readonly Option<double> _lockTimeout = new("--lock-timeout")
    {
        Description = "Seconds that a statement waits for a lock before the tenant is tried again; 0: for ever.",
        DefaultValueFactory = _ => Defaults.LockTimeout.TotalSeconds,
        CustomParser = given =>
            OptionValue.Read<double>(
                given,
                $"seconds from 0 to {LongestLockTimeout}",
                seconds => seconds is >= 0 and <= LongestLockTimeout
            ),
    };
    private readonly Option<string[]> _canary = new("--canary")
    {
        Description = "Tenants that come first, all others after them.",
        HelpName = "slug",
        AllowMultipleArgumentsPerToken = true,
    };
    private readonly Option<double[]> _rings = new("--rings")
    {
        Description = "Then so many percent of all, one ring after the other: --rings 1 10 50.",
        HelpName = "percent",
        AllowMultipleArgumentsPerToken = true,
        CustomParser = given =>
            OptionValue.ReadAll<double>(given, "percents over 0, at most 100", share => share is > 0 and <= 100),
    };
    private readonly Option<int?> _errorBudget = new("--error-budget")
    {
        Description = "How many tenants may fail before no more are begun; any number, if not given.",
        CustomParser = given => OptionValue.Read<int>(given, "a number of at least 0", n => n >= 0),
    };
    private readonly Option<bool> _dryRun = NewDryRun();

    public TenantsMigrateCommand()
        : base("migrate", "Applies pending migrations to one tenant, or to all; a run that was killed is gone on with.")
    {
        Arguments.Add(_tenant);
        foreach (
            var option in new Option[]
            {
                _all,
                _parallelism,
                _perServer,
                _lockTimeout,
                _canary,
                _rings,
                _errorBudget,
                _dryRun,
            }
        )
        {
            Options.Add(option);
        }
    }

    public override string AfterCancellation =>
        "Tenants that were done are done, the others are as they were. Run the same command again to go on.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var one = run.Value(_tenant);
        if (one is null != run.Value(_all))
        {
            throw new CommandFailedException(ExitCode.Usage, "Name one tenant, or say --all.");
        }

        if (one is not null)
        {
            RefuseOptionsOfAll(run);
        }

        var migrator = run.Get<ITenantMigrator>();
        if (run.Value(_dryRun))
        {
            var named = one is null ? null : await TenantReference.FindAsync(run, one, ct).ConfigureAwait(false);
            return Plan(await migrator.PlanAsync(ct).ConfigureAwait(false), named?.Id);
        }

        if (one is not null)
        {
            var tenant = await TenantReference.FindAsync(run, one, ct).ConfigureAwait(false);
            return Of(await migrator.MigrateAsync(tenant.Id, ct).ConfigureAwait(false));
        }

        var progress = new RunProgress(run);
        try
        {
            return RunReport.Of(await migrator.MigrateAllAsync(OptionsOf(run), progress, ct).ConfigureAwait(false));
        }
        finally
        {
            progress.End();
        }
    }

    // They would be ignored, and whoever has given them counts on them.
    private void RefuseOptionsOfAll(CommandRun run)
    {
        var given = new Option[] { _parallelism, _perServer, _lockTimeout, _canary, _rings, _errorBudget }
            .Where(run.IsGiven)
            .Select(option => option.Name)
            .ToList();
        if (given.Count > 0)
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                $"{string.Join(", ", given)}: for all tenants only, with --all. Leave it out to migrate one."
            );
        }
    }

    private MigrateAllOptions OptionsOf(CommandRun run)
    {
        var rings = new List<MigrationRing>();
        if (run.Value(_canary) is { Length: > 0 } canaries)
        {
            rings.Add(MigrationRing.OfTenants(canaries));
        }

        rings.AddRange((run.Value(_rings) ?? []).Select(MigrationRing.OfPercent));
        return new MigrateAllOptions
        {
            Parallelism = run.Value(_parallelism),
            ParallelismPerServer = run.Value(_perServer),
            LockTimeout = TimeSpan.FromSeconds(run.Value(_lockTimeout)),
            Rings = rings,
            ErrorBudget = run.Value(_errorBudget),
        };
    }

    private static CommandResult Plan(FleetPlan plan, TenantId? one)
    {
        var tenants = plan
            .Tenants.Where(t => one is null || t.TenantId == one)
            .Where(t => t.State is PlannedTenantState.Pending or PlannedTenantState.Unknown)
            .ToList();
        return new CommandResult(
            new
            {
                DryRun = true,
                plan.Target,
                Tenants = tenants.Select(t => new
                {
                    t.Slug,
                    Connection = t.ConnectionName,
                    State = TenantReport.Word(t.State),
                    t.Version,
                    t.PendingMigrations,
                    Error = t.Error is { } e ? FailureText.Of(e) : null,
                }),
            },
            output =>
            {
                output.Table(
                    ["Tenant", "Connection", "Version", "Pending", "Error"],
                    [
                        .. tenants.Select(t =>
                            new[]
                            {
                                t.Slug,
                                t.ConnectionName,
                                t.Version,
                                t.State == PlannedTenantState.Unknown ? "?" : $"{t.PendingMigrations}",
                                t.Error is { } e ? FailureText.Of(e) : null,
                            }
                        ),
                    ],
                    $"Nothing to do: every tenant is at {plan.Target ?? "no migration, since there is none"}."
                );
                if (tenants.Count > 0)
                {
                    output.Line(
                        $"Would migrate {CommandOutput.Count(tenants.Count, "tenant")} to {plan.Target}. Nothing was changed."
                    );
                }
            },
            tenants.Any(t => t.State == PlannedTenantState.Unknown) ? ExitCode.Failed : ExitCode.Ok
        );
    }

    private static CommandResult Of(TenantMigrationResult result) =>
        new(
            new
            {
                result.Slug,
                Status = TenantReport.Word(result.Status),
                result.From,
                result.To,
                result.Applied,
                DurationMs = (int)result.Duration.TotalMilliseconds,
            },
            output =>
                output.Line(
                    result.Applied.Count > 0
                        ? $"Tenant '{result.Slug}' is migrated from {result.From ?? "nothing"} to {result.To}: {CommandOutput.Count(result.Applied.Count, "migration")}."
                        : $"Tenant '{result.Slug}' is {(result.Status == TenantMigrationStatus.Ahead ? "ahead, at" : "up to date, at")} {result.To}."
                )
        );
}
