using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;
using Polly;
using Polly.Retry;

namespace NeoCommons.EfCore.Admin;

/// <summary>This process's share of a run: workers per server, and a session that says they are alive.</summary>
internal sealed class MigrationRunner(
    AdminDatabase database,
    MigrationRuns runs,
    MigrationClaims claims,
    TenantMigration migration,
    TenantDataSources sources,
    ConnectionOpening opening,
    TimeProvider time,
    ILogger<MigrationRunner> log
)
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    /// <summary>Works at the run until nothing is left that can be done, and reports how it stands then.</summary>
    public async Task<MigrationRun> RunAsync(
        Guid run,
        MigrateAllOptions options,
        IProgress<MigrationProgress>? progress,
        CancellationToken ct
    )
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var total = new SemaphoreSlim(options.Parallelism);
        var servers = await runs.ServersAsync(run, ct).ConfigureAwait(false);
        var perServer = Math.Min(options.Parallelism, options.ParallelismPerServer);
        var first = Random.Shared.NextInt64(long.MaxValue - (servers.Count * perServer));
        long[] workers = [.. Enumerable.Range(0, servers.Count * perServer).Select(n => first + n)];
        var retyped = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
        var reports = new RunReports(runs, run, progress);
        await reports.RefreshAsync(ct).ConfigureAwait(false);
        var life = new WorkerLife(database, workers);
        await using var _ = life.ConfigureAwait(false);
        await life.BeginAsync(ct).ConfigureAwait(false);
        try
        {
            var beat = BeatAsync(life, run, workers, reports, stop.Token);
            var working = workers.Select((key, n) => WorkAsync(key, servers[n / perServer])).ToList();
            try
            {
                await Task.WhenAll(working).ConfigureAwait(false);
            }
            finally
            {
                await stop.CancelAsync().ConfigureAwait(false);
                await beat.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await runs.FinishAsync(run, ct).ConfigureAwait(false);
            await ReloadTypesAsync(retyped.Keys, ct).ConfigureAwait(false);
            return (await runs.FindWithFailuresAsync(run, ct).ConfigureAwait(false))!;
        }
        catch
        {
            // Not the caller's token: it may be what ended us. Where this fails too, others notice that we are gone.
            await GiveBackAsync(run, workers).ConfigureAwait(false);
            throw;
        }

        async Task WorkAsync(long key, Guid[] connections)
        {
            try
            {
                await WorkAtAsync(key, connections).ConfigureAwait(false);
            }
            catch
            {
                // One that fails takes the others with it: what failed is the admin database, or us.
                await stop.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }

        async Task WorkAtAsync(long key, Guid[] connections)
        {
            var connection = new WorkerConnection(sources, opening);
            await using var __ = connection.ConfigureAwait(false);
            TenantMigrationResult? before = null;
            try
            {
                await LoopAsync().ConfigureAwait(false);
            }
            catch when (before is not null)
            {
                // It is done, and the registry should know, whatever ends us.
                await claims.RecordAsync(run, key, before, CancellationToken.None).ConfigureAwait(false);
                throw;
            }
            async Task LoopAsync()
            {
                while (true)
                {
                    await total.WaitAsync(stop.Token).ConfigureAwait(false);
                    try
                    {
                        var row = await Persisting
                            .ExecuteAsync(
                                async token =>
                                    await claims.NextAsync(run, key, connections, before, token).ConfigureAwait(false),
                                stop.Token
                            )
                            .ConfigureAwait(false);
                        reports.Add(before);
                        before = null;
                        if (row is not null)
                        {
                            before = await VisitAsync(connection, row, options, stop.Token).ConfigureAwait(false);
                        }
                    }
                    finally
                    {
                        total.Release();
                    }

                    if (before is { MayChangeTypes: true })
                    {
                        retyped[connection.Source.Row.Name] = true;
                    }

                    if (before is null)
                    {
                        // The session holds the lock of its last schema, which others may wait for.
                        await connection.DisposeAsync().ConfigureAwait(false);
                        var goesOn = await Persisting
                            .ExecuteAsync(
                                async token =>
                                    await claims.IsUnfinishedAsync(run, connections, token).ConfigureAwait(false),
                                stop.Token
                            )
                            .ConfigureAwait(false);
                        if (!goesOn)
                        {
                            return;
                        }

                        await Task.Delay(Patience, time, stop.Token).ConfigureAwait(false);
                    }
                }
            }
        }
    }

    /// <summary>For what is written to the admin database: it is away for a while when its server restarts.</summary>
    private ResiliencePipeline Persisting =>
        field ??= new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(
                new RetryStrategyOptions
                {
                    ShouldHandle = new PredicateBuilder().Handle<NpgsqlException>(e =>
                        e.IsTransient || e.SqlState?.StartsWith("57P", StringComparison.Ordinal) is true
                    ),
                    MaxRetryAttempts = 6,
                    BackoffType = DelayBackoffType.Exponential,
                    Delay = Patience,
                    MaxDelay = TimeSpan.FromSeconds(5),
                }
            )
            .Build();

    private async Task<TenantMigrationResult> VisitAsync(
        WorkerConnection connection,
        TenantRow row,
        MigrateAllOptions options,
        CancellationToken ct
    )
    {
        var started = time.GetTimestamp();
        try
        {
            var tenant = row.ToTenant();
            return tenant.Status is TenantStatus.Active or TenantStatus.Suspended
                ? await migration.RunAsync(connection, tenant, options, ct).ConfigureAwait(false)
                : Untouched(tenant);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            AdminLogMessages.MigrationFailed(log, e, row.Slug);
            return new TenantMigrationResult
            {
                TenantId = new TenantId(row.Id),
                Slug = row.Slug,
                Status = TenantMigrationStatus.Failed,
                From = row.SchemaVersion,
                To = row.SchemaVersion,
                Duration = time.GetElapsedTime(started),
                Error = e,
            };
        }
    }

    // It was archived since the run began: there is nothing to do, and nothing is wrong.
    private static TenantMigrationResult Untouched(Tenant tenant) =>
        new()
        {
            TenantId = tenant.Id,
            Slug = tenant.Slug,
            Status = TenantMigrationStatus.UpToDate,
            From = tenant.SchemaVersion,
            To = tenant.SchemaVersion,
        };

    private async Task BeatAsync(WorkerLife life, Guid run, long[] workers, RunReports reports, CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(Beat, time, ct).ConfigureAwait(false);
                await life.BeginAsync(ct).ConfigureAwait(false);
                await claims.RenewAsync(run, workers, ct).ConfigureAwait(false);
                await reports.RefreshAsync(ct).ConfigureAwait(false);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                AdminLogMessages.RunNotHeardOf(log, e);
            }
        }
    }

    private async Task ReloadTypesAsync(IEnumerable<string> connections, CancellationToken ct)
    {
        foreach (var name in connections)
        {
            try
            {
                var source = await sources.AcquireAsync(name, ct).ConfigureAwait(false);
                try
                {
                    await TypeReload.TryAsync(source, log, ct).ConfigureAwait(false);
                }
                finally
                {
                    source.Release();
                }
            }
            catch (NeoCommonsException e)
            {
                // Its row has changed meanwhile: the new pool reads its types by itself.
                AdminLogMessages.TypesNotReloaded(log, e, name);
            }
        }
    }

    private async Task GiveBackAsync(Guid run, long[] workers)
    {
        try
        {
            await claims.GiveBackAsync(run, workers, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.RunNotHeardOf(log, e);
        }
    }
}
