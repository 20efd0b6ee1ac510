using System.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>Workers that do drawn operations for drawn tenants, while backends are killed and tokens cancelled.</summary>
internal sealed class FuzzRun(FuzzDatabase database, IFuzzDriver driver, int workers)
{
    private readonly FuzzReport _report = new(Seed);
    private readonly IReadOnlyList<FuzzOperation> _operations =
    [
        .. FuzzOperations.All.Where(o => (o.Needs & ~driver.Doors) == Doors.None),
    ];

    private static int Seed { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("NEO_FUZZ_SEED"), out var seed) ? seed : Random.Shared.Next();

    /// <summary>The operations that the driver's doors allow: each must succeed at least once.</summary>
    public IEnumerable<string> Kinds => _operations.Select(o => o.Name);

    /// <summary>Runs until this many operations were done, or so long; the deadline only ends a run that is stuck.</summary>
    /// <param name="atLeast">How many operations.</param>
    /// <param name="duration">How long to go on after that, counted from the start; zero to stop there.</param>
    /// <param name="deadline">When to give up.</param>
    /// <param name="untilWrong">Whether to stop at the first mistake.</param>
    /// <param name="ct">Ends the run.</param>
    public async Task<FuzzReport> RunAsync(
        long atLeast,
        TimeSpan duration,
        TimeSpan deadline,
        bool untilWrong,
        CancellationToken ct
    )
    {
        var clock = Stopwatch.StartNew();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var calm = duration > TimeSpan.Zero ? TimeSpan.Zero : TimeSpan.FromMilliseconds(800);
        var killer = new BackendKiller(database, _report, calm).RunAsync(over.Token);
        await Task.WhenAll(Enumerable.Range(0, workers).Select(worker => Task.Run(() => WorkAsync(worker, Goes), ct)));
        await over.CancelAsync();
        await killer;
        _report.WrongRows = await database.SweepAsync(ct);
        return _report;

        bool Goes() =>
            !ct.IsCancellationRequested
            && clock.Elapsed < deadline
            && (_report.Operations < atLeast || clock.Elapsed < duration)
            && !(untilWrong && _report.Wrong > 0);
    }

    private async Task WorkAsync(int worker, Func<bool> goes)
    {
        var random = new Random(HashCode.Combine(Seed, worker));
        while (goes())
        {
            var tenant = database.Tenants[random.Next(database.Tenants.Count)];
            var readOnly = driver.Doors.HasFlag(Doors.ReadOnly) && random.Next(8) == 0;
            try
            {
                await using var context = await driver.CreateAsync(tenant, readOnly, worker, CancellationToken.None);

                // Used again after errors, as applications do.
                var history = new List<string>();
                for (var i = random.Next(1, 7); i > 0 && goes(); i--)
                {
                    await StepAsync(context, tenant, readOnly, random, history);
                }
            }
            catch (Exception e)
            {
                _report.Fault("lease", e, []);
            }
        }
    }

    private async Task StepAsync(
        CanaryContext context,
        Tenant tenant,
        bool readOnly,
        Random random,
        List<string> history
    )
    {
        var operation = Draw(random, readOnly);
        using var cancel = random.Next(4) == 0 ? new CancellationTokenSource(random.Next(4)) : null;
        var step = new FuzzStep(context, tenant, driver, random, _report, operation.Name, cancel?.Token ?? default);
        _report.Begin();
        try
        {
            context.ChangeTracker.Clear();
            await operation.ExecuteAsync(step);
            _report.Success(operation.Name);
            Note("done");
        }
        catch (Exception e)
        {
            Note($"{e.GetType().Name}: {e.Message}");
            _report.Fault(operation.Name, e, history);

            // As callers do. A refusal takes no time, and a run of refusals would show nothing.
            await Task.Delay(ExpectedFaults.RetryAfter(e));
        }

        // EF's service, since Database.GetDbConnection() would tell the library that the application has it.
        void Note(string outcome) =>
            history.Add(
                $"{operation.Name}: {outcome}; {context.GetService<IRelationalConnection>().DbConnection.State} now"
            );
    }

    private FuzzOperation Draw(Random random, bool readOnly)
    {
        while (true)
        {
            var drawn = _operations[random.Next(_operations.Count)];
            if (drawn.Needs.HasFlag(Doors.ReadOnly) == readOnly || (readOnly && !drawn.Writes))
            {
                return drawn;
            }
        }
    }
}
