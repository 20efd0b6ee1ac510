using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

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
    ILogger<MigrationRunner> log,
    ILogger<MigrationWorker> workerLog
)
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>Works at the run until it has ended, whoever else works at it, and reports how it stands then.</summary>
    public async Task<MigrationRun> RunAsync(
        Guid run,
        MigrateAllOptions options,
        IProgress<MigrationProgress>? progress,
        CancellationToken ct
    )
    {
        var retyped = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
        var reports = new RunReports(runs, run, progress);

        // Others may add tenants of further servers meanwhile, and die before they have migrated them.
        MigrationRun found;
        do
        {
            if (await runs.ServersAsync(run, ct).ConfigureAwait(false) is { Count: > 0 } servers)
            {
                await ShareAsync(run, servers, options, reports, retyped, ct).ConfigureAwait(false);
            }

            await runs.FinishAsync(run, ct).ConfigureAwait(false);
            found = (await runs.FindWithFailuresAsync(run, ct).ConfigureAwait(false))!;
        } while (found.Status == MigrationRunStatus.Running);

        await ReloadTypesAsync(retyped.Keys, ct).ConfigureAwait(false);
        return found;
    }

    private async Task ShareAsync(
        Guid run,
        IReadOnlyList<Guid[]> servers,
        MigrateAllOptions options,
        RunReports reports,
        ConcurrentDictionary<string, bool> retyped,
        CancellationToken ct
    )
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var total = new SemaphoreSlim(options.Parallelism);
        var perServer = Math.Min(options.Parallelism, options.ParallelismPerServer);
        var first = Random.Shared.NextInt64(long.MaxValue - (servers.Count * perServer));
        var begun = new ConcurrentBag<long>();
        long[] workers = [.. Enumerable.Range(0, servers.Count * perServer).Select(n => first + n)];
        await reports.RefreshAsync(ct).ConfigureAwait(false);
        var life = new WorkerLife(database, workers);
        await using var _ = life.ConfigureAwait(false);
        await life.BeginAsync(ct).ConfigureAwait(false);
        var beat = BeatAsync(life, run, workers, reports, stop.Token);
        try
        {
            await Task.WhenAll(workers.Select((key, n) => WorkAsync(key, servers[n / perServer])).ToList())
                .ConfigureAwait(false);
        }
        catch
        {
            // Not the caller's token: it may be what ended us. Where this fails too, others notice that we are gone.
            await GiveBackAsync(run, workers, [.. begun]).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await beat.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task WorkAsync(long key, Guid[] server)
        {
            // The driver asks the server to cancel, on the thread that cancels: one that is silent would hold up the others'.
            using var own = new CancellationTokenSource();
            await using var stopping = stop.Token.Register(() => own.CancelAsync()).ConfigureAwait(false);
            var connection = new WorkerConnection(sources, opening);
            await using var __ = connection.ConfigureAwait(false);
            var worker = new MigrationWorker(
                run,
                key,
                server,
                options,
                claims,
                migration,
                connection,
                total,
                reports,
                time,
                workerLog
            );
            try
            {
                await worker.RunAsync(own.Token).ConfigureAwait(false);
                foreach (var name in worker.Retyped)
                {
                    retyped[name] = true;
                }
            }
            catch
            {
                if (worker.HasBegun)
                {
                    begun.Add(key);
                }

                // One that fails takes the others with it: what failed is the admin database, or us.
                await stop.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }
    }

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

    private async Task GiveBackAsync(Guid run, long[] workers, long[] begun)
    {
        try
        {
            await claims.GiveBackAsync(run, workers, begun, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.RunNotHeardOf(log, e);
        }
    }
}
