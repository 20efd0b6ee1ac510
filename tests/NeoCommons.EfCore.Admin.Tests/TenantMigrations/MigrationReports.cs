using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>What a run reports, tenant by tenant.</summary>
internal sealed class MigrationReports(Action<MigrationProgress>? also = null) : IProgress<MigrationProgress>
{
    private readonly Lock _lock = new();
    private readonly List<MigrationProgress> _all = [];

    public IReadOnlyList<MigrationProgress> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _all];
            }
        }
    }

    public IReadOnlyList<TenantMigrationResult> Tenants =>
        [.. All.Select(p => p.Tenant).OfType<TenantMigrationResult>().OrderBy(t => t.Slug, StringComparer.Ordinal)];

    /// <summary>Migrates all tenants; gives a result for each that this process did or found up to date, ordered by slug.</summary>
    public static async Task<IReadOnlyList<TenantMigrationResult>> MigrateAllAsync(
        IServiceProvider services,
        MigrateAllOptions? options = null
    )
    {
        var reports = new MigrationReports();
        await services
            .GetRequiredService<ITenantMigrator>()
            .MigrateAllAsync(options, reports, TestContext.Current.CancellationToken);
        return reports.Tenants;
    }

    public void Report(MigrationProgress value)
    {
        lock (_lock)
        {
            _all.Add(value);
        }

        also?.Invoke(value);
    }
}
