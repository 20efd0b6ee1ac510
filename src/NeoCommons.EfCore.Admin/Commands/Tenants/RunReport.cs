namespace NeoCommons.EfCore.Admin;

/// <summary>A migration run as commands show it.</summary>
internal static class RunReport
{
    public static CommandResult Of(MigrationRun run) =>
        new(
            new
            {
                run.Id,
                Status = TenantReport.Word(run.Status),
                run.Target,
                StartedAt = run.Id is null ? null : (DateTimeOffset?)run.StartedAt,
                run.FinishedAt,
                run.Total,
                run.Done,
                run.Failed,
                run.Running,
                run.Pending,
                run.Workers,
                Failures = run.Failures.Select(f => new { f.Slug, f.Error }),
            },
            output => Write(run, output),
            run.Status is MigrationRunStatus.Failed or MigrationRunStatus.Stopped ? ExitCode.Failed : ExitCode.Ok
        );

    /// <summary>How far it is, in one line.</summary>
    public static string Line(MigrationRun run, TimeSpan elapsed, int before)
    {
        var ended = run.Done + run.Failed;
        var rate = elapsed > TimeSpan.Zero ? (ended - before) / elapsed.TotalSeconds : 0;
        var left = rate > 0 ? Hours((run.Pending + run.Running) / rate) : "?";
        return FormattableString.Invariant(
            $"{ended} of {CommandOutput.Count(run.Total, "tenant")}, {run.Failed} failed, {rate:0.0} per second, {left} left"
        );
    }

    private static string Hours(double seconds)
    {
        var left = TimeSpan.FromSeconds(seconds);
        return FormattableString.Invariant($"{(int)left.TotalHours}:{left.Minutes:00}:{left.Seconds:00}");
    }

    private static void Write(MigrationRun run, CommandOutput output)
    {
        if (run.Id is null)
        {
            output.Line($"Nothing to do: every tenant is at {run.Target ?? "no migration, since there is none"}.");
            return;
        }

        output.Fields(
            ("Run", run.Id.ToString()),
            ("Status", TenantReport.Word(run.Status)),
            ("Target", run.Target),
            ("Started", run.StartedAt.ToString("u")),
            ("Finished", run.FinishedAt?.ToString("u")),
            (
                "Tenants",
                $"{run.Total}: {run.Done} done, {run.Failed} failed, {run.Running} running, {run.Pending} pending"
            ),
            ("Workers", $"{run.Workers}")
        );
        if (run.Failures.Count > 0)
        {
            output.Table(["Tenant", "Error"], [.. run.Failures.Select(f => new[] { f.Slug, f.Error })], "");
        }

        if (run.Status == MigrationRunStatus.Stopped)
        {
            output.Line(
                "More tenants failed than --error-budget allows. Mend them, and run 'tenants migrate --all' again."
            );
        }
        else if (run is { Status: MigrationRunStatus.Running, Workers: 0 })
        {
            output.Line("Nobody works at it. Run 'tenants migrate --all' to go on.");
        }
    }
}
