using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Connections;

/// <summary>
/// Rows change while applications work: each new lease goes where the row says now, and each that began before ends where
/// it began. <c>NEO_SOAK_MINUTES=60</c> goes on for so long.
/// </summary>
public sealed class ChangesUnderLoadTests(TestServers servers)
{
    private const int Changes = 100;

    // Two are in use, and a thread that has nothing to do may hold what it did last. A leak would hold all.
    private const int MostHeld = 12;
    private const string Canary = "SELECT \"Name\" FROM tenant_acme.\"Products\" WHERE \"Sku\" = 'canary'";

    private readonly ConcurrentDictionary<string, long> _epochs = [];
    private readonly ConcurrentQueue<string> _wrong = [];
    private readonly ConcurrentDictionary<string, int> _seen = [];
    private readonly ConcurrentDictionary<int, long> _progress = [];
    private readonly List<WeakReference<PooledDataSource>> _pools = [];
    private MovingTarget _target = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private TestApp App => _target.App;

    [Fact]
    public async Task Each_of_a_hundred_changes_moves_new_work_and_disturbs_none_that_has_begun()
    {
        await using var target = _target = await MovingTarget.StartAsync(servers.Postgres);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var workers = Start(stop.Token);
        var soak = TimeSpan.FromMinutes(
            double.TryParse(
                Environment.GetEnvironmentVariable("NEO_SOAK_MINUTES"),
                CultureInfo.InvariantCulture,
                out var minutes
            )
                ? minutes
                : 0
        );
        var started = Stopwatch.GetTimestamp();
        var changes = 0;
        for (; (changes < Changes || Stopwatch.GetElapsedTime(started) < soak) && _wrong.IsEmpty; changes++)
        {
            await ChangeAsync(changes % 2 == 0 ? "db1" : "raw", changes / 2);
        }

        // Both exist, for what is left at the end.
        foreach (var name in new[] { "db1", "raw" })
        {
            while (target.Expected(name) is "deleted" or "inactive")
            {
                await ChangeAsync(name, 0);
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(workers);

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{changes} changes in {Stopwatch.GetElapsedTime(started)}: "
                + string.Join(", ", _seen.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"{s.Key} {s.Value}"))
        );
        Assert.Empty(_wrong);
        Assert.Empty(
            new[] { "0", "1", "inactive", "deleted", "kept a transaction", "during a change" }.Except(_seen.Keys)
        );
        await Eventually.EqualAsync(0L, target.StrayBackendsAsync);
        await AssertFlatAsync();
    }

    private async Task ChangeAsync(string name, int number)
    {
        // Odd: the row is changing, and both the old and the new are right.
        _epochs.AddOrUpdate(name, 1, (_, epoch) => epoch + 1);
        await _target.ChangeAsync(name, number);
        await _target.HeardAsync(name);
        _epochs[name]++;
        await NotePoolAsync(name);

        var before = _progress.ToArray();
        await Eventually.TrueAsync(() => before.All(p => _progress[p.Key] > p.Value + 1) || !_wrong.IsEmpty);
    }

    private List<Task> Start(CancellationToken stop)
    {
        List<(string Name, Func<Task<string>> Read)> kinds =
        [
            ("db1", ReadContextAsync),
            ("db1", ReadContextAsync),
            ("db1", () => Task.FromResult(ReadContext())),
            ("db1", () => ReadRawAsync("db1")),
            ("db1", ReadTenantAsync),
            ("db1", () => KeepAsync("db1", stop)),
            ("db1", () => KeepContextAsync(stop)),
            ("raw", () => ReadRawAsync("raw")),
            ("raw", () => ReadRawAsync("raw")),
            ("raw", () => KeepAsync("raw", stop)),
        ];
        return
        [
            .. kinds.Select(
                (kind, number) =>
                {
                    _progress[number] = 0;
                    return Task
                        .Factory.StartNew(
                            () => WorkAsync(number, kind.Name, kind.Read, stop),
                            Ct,
                            TaskCreationOptions.LongRunning,
                            TaskScheduler.Default
                        )
                        .Unwrap();
                }
            ),
        ];
    }

    private async Task WorkAsync(int number, string name, Func<Task<string>> read, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var epoch = Epoch(name);
            var expected = _target.Expected(name);
            string found;
            try
            {
                found = await read();
            }
            catch (ConnectionUnavailableException e) when (e.Reason == ConnectionUnavailableReason.Inactive)
            {
                found = "inactive";
            }
            catch (ConnectionNotFoundException)
            {
                found = "deleted";
            }
            catch (Exception e)
            {
                found = e.ToString();
            }

            var isSettled = epoch % 2 == 0 && Epoch(name) == epoch;
            if (found is not ("0" or "1" or "inactive" or "deleted") || (isSettled && found != expected))
            {
                _wrong.Enqueue($"worker {number}, epoch {epoch}, settled {isSettled}, expected {expected}: {found}");
                return;
            }

            Saw(found);
            if (!isSettled)
            {
                Saw("during a change");
            }

            _progress.AddOrUpdate(number, 1, (_, done) => done + 1);
            if (found is "inactive" or "deleted")
            {
                await Task.Delay(5, CancellationToken.None);
            }
        }
    }

    private long Epoch(string name) => _epochs.GetValueOrDefault(name);

    private void Saw(string what) => _seen.AddOrUpdate(what, 1, (_, times) => times + 1);

    private async Task<string> ReadContextAsync()
    {
        await using var shop = await App.Shop.CreateDbContextAsync("acme", Ct);
        return (await shop.Products.AsNoTracking().SingleAsync(p => p.Sku == "canary", Ct)).Name;
    }

    private string ReadContext()
    {
        using var shop = App.Shop.CreateDbContextAsync("acme", Ct).AsTask().GetAwaiter().GetResult();
        return shop.Products.AsNoTracking().Single(p => p.Sku == "canary").Name;
    }

    private async Task<string> ReadRawAsync(string name)
    {
        await using var connection = await App.Databases.OpenConnectionAsync(name, Ct);
        return await CanaryAsync(connection);
    }

    private async Task<string> ReadTenantAsync()
    {
        var tenant = (await App.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        await using var connection = await App.Databases.OpenTenantConnectionAsync(tenant.Id, Ct);
        await using var command = new NpgsqlCommand(
            "SELECT \"Name\" FROM \"Products\" WHERE \"Sku\" = 'canary'",
            connection
        );
        return (string)(await command.ExecuteScalarAsync(Ct))!;
    }

    /// <summary>A transaction that a change overtakes, as a rule: it ends where it began.</summary>
    private async Task<string> KeepAsync(string name, CancellationToken stop)
    {
        await using var connection = await App.Databases.OpenConnectionAsync(name, Ct);
        await using var transaction = await connection.BeginTransactionAsync(Ct);
        var before = await CanaryAsync(connection);
        await OvertakenAsync(name, stop);
        var after = await CanaryAsync(connection);
        await transaction.CommitAsync(Ct);
        return Kept(before, after);
    }

    private async Task<string> KeepContextAsync(CancellationToken stop)
    {
        await using var shop = await App.Shop.CreateDbContextAsync("acme", Ct);
        var products = shop.Products.AsNoTracking().Where(p => p.Sku == "canary").Select(p => p.Name);
        await using (var transaction = await shop.Database.BeginTransactionAsync(Ct))
        {
            var before = await products.SingleAsync(Ct);
            await OvertakenAsync("db1", stop);
            Kept(before, await products.SingleAsync(Ct));
            await transaction.CommitAsync(Ct);
        }

        // Its connection went back to the old pool, and another is opened there.
        return await products.SingleAsync(Ct);
    }

    // What it found is not of the present: it is told by the comparison alone.
    private string Kept(string before, string after)
    {
        if (before != after)
        {
            _wrong.Enqueue($"A transaction began at {before} and went on at {after}.");
        }

        Saw("kept a transaction");
        return after;
    }

    // The change that is waited for waits for this worker's progress: half of the time there is none.
    private async Task OvertakenAsync(string name, CancellationToken stop)
    {
        var epoch = Epoch(name);
        for (var i = 0; i < 4 && Epoch(name) < epoch + 2 && !stop.IsCancellationRequested; i++)
        {
            await Task.Delay(5, CancellationToken.None);
        }
    }

    private static async Task<string> CanaryAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(Canary, connection);
        return (string)(await command.ExecuteScalarAsync(Ct))!;
    }

    // In a method of its own, so that nothing else keeps the pool.
    private async Task NotePoolAsync(string name)
    {
        if (_target.Expected(name) is "0" or "1")
        {
            var pool = await App.Get<TenantDataSources>().AcquireAsync(name, Ct);
            _pools.Add(new(pool));
            pool.Release();
        }
    }

    private Task AssertFlatAsync()
    {
        Assert.InRange(_pools.Count, Changes / 2, int.MaxValue);
        return Eventually.TrueAsync(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return Living() <= MostHeld;
        });
    }

    private int Living()
    {
        var living = new HashSet<PooledDataSource>(ReferenceEqualityComparer.Instance);
        foreach (var reference in _pools)
        {
            if (reference.TryGetTarget(out var pool))
            {
                living.Add(pool);
            }
        }

        return living.Count;
    }
}
