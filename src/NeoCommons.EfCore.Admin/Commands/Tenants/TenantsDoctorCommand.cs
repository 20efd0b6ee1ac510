using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants doctor</c></summary>
internal sealed class TenantsDoctorCommand : ConsoleCommand
{
    private readonly Option<string?> _connection = new("--connection")
    {
        Description = "Only this connection; all, if not given.",
    };
    private readonly Option<bool> _quick = new("--quick")
    {
        Description = "Do not compare each schema with what the migrations make.",
    };
    private readonly Option<bool> _fix = new("--fix")
    {
        Description =
            "Mend what is safe: finish interrupted creations, migrate, drop empty orphan schemas that carry a tenant's mark.",
    };

    public TenantsDoctorCommand()
        : base("doctor", "Compares the registry with the databases; changes nothing without --fix.")
    {
        foreach (var option in new Option[] { _connection, _quick, _fix })
        {
            Options.Add(option);
        }
    }

    public override string AfterCancellation =>
        "What was mended with --fix is mended, and nothing else was changed. Run it again to see what is left.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var examination = new TenantExamination
        {
            ConnectionName = run.Value(_connection),
            ComparesCatalogs = !run.Value(_quick),
            Mend = run.Value(_fix),
        };
        var findings = new List<TenantFinding>();
        await foreach (var finding in run.Get<ITenantDoctor>().ExamineAsync(examination, ct).ConfigureAwait(false))
        {
            findings.Add(finding);
        }

        return new CommandResult(
            findings,
            output =>
            {
                output.Blocks(
                    ["Finding", "Connection", "Tenant", "What", "Remedy"],
                    [
                        .. findings.Select(f =>
                            new[]
                            {
                                Word(f.Kind),
                                f.ConnectionName,
                                f.Slug ?? f.Schema,
                                f.Message,
                                f.IsMended ? "mended" : f.Remedy,
                            }
                        ),
                    ],
                    head: 3,
                    "All is well."
                );
                if (!examination.Mend && findings.Exists(f => f.CanBeMended))
                {
                    output.Line($"{findings.Count(f => f.CanBeMended)} of them can be mended with --fix.");
                }
            },
            findings.TrueForAll(f => f.IsMended) ? ExitCode.Ok : ExitCode.Failed
        );
    }

    private static string Word(TenantFindingKind kind) =>
        kind switch
        {
            TenantFindingKind.OrphanSchema => "orphan schema",
            TenantFindingKind.MissingSchema => "missing schema",
            TenantFindingKind.HalfMade => "half made",
            TenantFindingKind.HalfDeleted => "half deleted",
            TenantFindingKind.WrongOwner => "wrong owner",
            _ => TenantReport.Word(kind),
        };
}
