namespace NeoCommons.EfCore.Admin;

/// <summary>Tells a caller how a run stands: read from the registry now and then, counted on in between.</summary>
internal sealed class RunReports(MigrationRuns runs, Guid run, IProgress<MigrationProgress>? progress)
{
    private readonly Lock _lock = new();
    private MigrationRun? _known;

    public async Task RefreshAsync(CancellationToken ct)
    {
        if (progress is null)
        {
            return;
        }

        var found = await runs.FindAsync(run, ct).ConfigureAwait(false);
        lock (_lock)
        {
            _known = found;
            progress.Report(new MigrationProgress { Run = found! });
        }
    }

    public void Add(TenantMigrationResult? tenant)
    {
        if (progress is null || tenant is null)
        {
            return;
        }

        var failed = tenant.Status == TenantMigrationStatus.Failed;
        lock (_lock)
        {
            _known = _known! with
            {
                Done = _known.Done + (failed ? 0 : 1),
                Failed = _known.Failed + (failed ? 1 : 0),
                Pending = _known.Running > 0 ? _known.Pending : Math.Max(0, _known.Pending - 1),
                Running = Math.Max(0, _known.Running - 1),
            };
            progress.Report(new MigrationProgress { Run = _known, Tenant = tenant });
        }
    }
}
