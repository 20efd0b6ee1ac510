using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>Workers that read and write as tenants do, and a journal of what the server has acknowledged.</summary>
internal sealed class Load : IAsyncDisposable
{
    private readonly CancellationTokenSource _over = new();
    private readonly ConcurrentDictionary<(string Tenant, int Id), bool> _acknowledged = new();
    private readonly ConcurrentQueue<string> _strangers = new();
    private readonly RuntimeApp _app;
    private readonly IReadOnlyList<Tenant> _tenants;
    private readonly bool _readsReadOnly;
    private readonly Task[] _workers;
    private readonly int[] _phaseOfWorker;
    private readonly int[] _failuresAfter;
    private int _lastId = 1_000;
    private int _phase;
    private long _operations;
    private long _failures;
    private long _relapses;

    private Load(RuntimeApp app, IReadOnlyList<Tenant> tenants, int workers, bool readsReadOnly)
    {
        _app = app;
        _tenants = tenants;
        _readsReadOnly = readsReadOnly;
        _phaseOfWorker = new int[workers];
        _failuresAfter = new int[workers];
        _workers = [.. Enumerable.Range(0, workers).Select(worker => Task.Run(() => WorkAsync(worker)))];
    }

    /// <summary>Operations that ended well.</summary>
    public long Operations => Interlocked.Read(ref _operations);

    /// <summary>Operations that failed.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Operations that failed although their worker had seen one succeed since <see cref="EndOfFaults"/>.</summary>
    public long Relapses => Interlocked.Read(ref _relapses);

    /// <summary>When they failed last.</summary>
    public Recovery Recovery { get; } = new();

    /// <summary>The most failures that one of the workers has had since <see cref="EndOfFaults"/> who wait as long as they are told.</summary>
    public int MostFailuresOfPatient => _failuresAfter.Where((_, worker) => IsPatient(worker)).Max();

    /// <summary>Whether each worker has succeeded since <see cref="EndOfFaults"/>.</summary>
    public bool HasRecovered => _phaseOfWorker.All(phase => Volatile.Read(ref phase) == Volatile.Read(ref _phase));

    /// <summary>Begins the work.</summary>
    /// <param name="app">The application.</param>
    /// <param name="tenants">Whose work it is.</param>
    /// <param name="workers">How many work at a time.</param>
    /// <param name="readsReadOnly">Whether half of the workers only read, in contexts that may do so at a standby.</param>
    public static Load Start(
        RuntimeApp app,
        IReadOnlyList<Tenant> tenants,
        int workers = 8,
        bool readsReadOnly = false
    ) => new(app, tenants, workers, readsReadOnly);

    /// <summary>Notes that no fault is brought about any more.</summary>
    public void EndOfFaults()
    {
        Recovery.Begin();
        Interlocked.Increment(ref _phase);
    }

    /// <summary>Ends the work, and compares what each tenant has with what was acknowledged.</summary>
    public async Task AssertNothingLostAsync(DatabaseConnection row)
    {
        await _over.CancelAsync();
        await Task.WhenAll(_workers);
        Assert.Empty(_strangers);
        foreach (var tenant in _tenants)
        {
            var schema = tenant.Schema.Quoted;
            Assert.Equal(
                0L,
                await _app.DirectAsync(row, $"SELECT count(*) FROM {schema}.items WHERE owner <> '{tenant.Slug}'")
            );
            var acknowledged = string.Join(
                ",",
                _acknowledged.Keys.Where(k => k.Tenant == tenant.Slug).Select(k => k.Id)
            );
            Assert.Equal(
                0L,
                await _app.DirectAsync(
                    row,
                    $"SELECT count(*) FROM unnest('{{{acknowledged}}}'::int[]) id WHERE id NOT IN (SELECT id FROM {schema}.items)"
                )
            );
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await Task.WhenAll(_workers);
        _over.Dispose();
    }

    private static bool IsPatient(int worker) => worker % 2 == 0;

    private async Task WorkAsync(int worker)
    {
        var random = new Random(worker);
        while (!_over.IsCancellationRequested)
        {
            var phase = Volatile.Read(ref _phase);
            try
            {
                var writes = _readsReadOnly ? worker % 4 < 2 : random.Next(2) == 0;
                await OnceAsync(_tenants[random.Next(_tenants.Count)], writes);
                Interlocked.Increment(ref _operations);
                _phaseOfWorker[worker] = Math.Max(_phaseOfWorker[worker], phase);
            }
            catch (Exception e)
            {
                Interlocked.Increment(ref _failures);
                Recovery.Failed();
                _failuresAfter[worker] += Recovery.IsOver ? 1 : 0;
                if (phase > 0 && _phaseOfWorker[worker] == phase)
                {
                    Interlocked.Increment(ref _relapses);
                }

                await Task.Delay(
                    IsPatient(worker) && e is ConnectionUnavailableException { RetryAfter: { } wait }
                        ? wait
                        : TimeSpan.FromMilliseconds(5)
                );
            }
        }
    }

    private async Task OnceAsync(Tenant tenant, bool writes)
    {
        await using var context =
            _readsReadOnly && !writes
                ? await _app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id)
                : await _app.Contexts.CreateDbContextAsync(tenant.Id);
        if (writes)
        {
            var id = Interlocked.Increment(ref _lastId);
            context.Add(new Item { Id = id, Owner = tenant.Slug });
            await context.SaveChangesAsync();
            _acknowledged[(tenant.Slug, id)] = true;
        }
        else
        {
            foreach (var item in await context.Items.AsNoTracking().OrderBy(i => i.Id).Take(20).ToListAsync())
            {
                if (item.Owner != tenant.Slug)
                {
                    _strangers.Enqueue($"{tenant.Slug} has read {item.Owner}");
                }
            }
        }
    }
}
