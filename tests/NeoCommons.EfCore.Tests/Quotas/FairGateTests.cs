using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>The gate by itself: whom it lets in, in which order, and that no permit is lost.</summary>
public sealed class FairGateTests
{
    // One who is never woken is a failure, and not a test that does not end.
    private static readonly TimeSpan Hung = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_of_nineteen_small_tenants_is_served_after_at_most_one_caller_of_every_other_tenant()
    {
        var gate = new FairGate(1);
        Assert.True(gate.TryTake());
        var served = new List<int>();
        var waiting = new List<Task>();
        var (hungry, others) = (NewTenant(), Enumerable.Range(0, 19).Select(_ => NewTenant()).ToList());
        for (var i = 0; i < 300; i++)
        {
            waiting.Add(WaitAsync(hungry, -1));
        }

        for (var small = 0; small < others.Count; small++)
        {
            waiting.Add(WaitAsync(others[small], small));
        }

        for (var i = 0; i < 300 + others.Count; i++)
        {
            gate.Release();
            await Eventually.EqualAsync(i + 1, () => Task.FromResult(CountServed()));
        }

        await Task.WhenAll(waiting);
        Assert.All(Enumerable.Range(0, others.Count), small => Assert.InRange(served.IndexOf(small), 0, others.Count));
        Assert.Equal((1, 0), (gate.Taken, gate.Waiting));

        int CountServed()
        {
            lock (served)
            {
                return served.Count;
            }
        }

        async Task WaitAsync(TenantId tenant, int name)
        {
            Assert.Equal(GateOutcome.Taken, await TakeAsync(gate, tenant));
            lock (served)
            {
                served.Add(name);
            }
        }
    }

    [Fact]
    public async Task Callers_of_one_tenant_are_served_in_the_order_in_which_they_came()
    {
        var gate = new FairGate(1);
        gate.TryTake();
        var tenant = NewTenant();
        var waiting = Enumerable.Range(0, 10).Select(_ => TakeAsync(gate, tenant).AsTask()).ToList();

        foreach (var next in waiting)
        {
            Assert.False(next.IsCompleted);
            gate.Release();
            Assert.Equal(GateOutcome.Taken, await next);
        }
    }

    [Fact]
    public async Task Nobody_overtakes_those_who_wait()
    {
        var gate = new FairGate(1);
        gate.TryTake();
        var waiting = TakeAsync(gate, NewTenant());

        gate.Release();

        Assert.False(gate.TryTake());
        Assert.Equal(GateOutcome.Taken, await waiting);
        gate.Release();
        Assert.True(gate.TryTake());
    }

    [Fact]
    public async Task A_tenant_whose_queue_is_full_is_refused_at_once_and_another_one_is_not()
    {
        var gate = new FairGate(1);
        gate.TryTake();
        var (tenant, other) = (NewTenant(), NewTenant());
        var waiting = new[] { TakeAsync(gate, tenant, mostWaiting: 2), TakeAsync(gate, tenant, mostWaiting: 2) };

        Assert.Equal(GateOutcome.Full, await TakeAsync(gate, tenant, mostWaiting: 2));
        var others = TakeAsync(gate, other, mostWaiting: 2);

        Assert.Equal(3, gate.Waiting);
        for (var i = 0; i < 3; i++)
        {
            gate.Release();
        }

        Assert.Equal(GateOutcome.Taken, await waiting[0]);
        Assert.Equal(GateOutcome.Taken, await waiting[1]);
        Assert.Equal(GateOutcome.Taken, await others);
    }

    [Fact]
    public async Task Waiting_ends_at_the_timeout_at_a_cancellation_and_when_the_pool_is_no_more()
    {
        var gate = new FairGate(1);
        gate.TryTake();
        using var pool = new CancellationTokenSource();
        using var caller = new CancellationTokenSource();
        var tenant = NewTenant();
        var late = TakeAsync(gate, tenant).AsTask();
        var cancelled = gate.TakeAsync(tenant, 10, Patience, _time, CancellationToken.None, async: true, caller.Token)
            .AsTask();
        var ended = gate.TakeAsync(tenant, 10, Patience * 2, _time, pool.Token, async: true, Ct).AsTask();

        await caller.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        _time.Advance(Patience);
        Assert.Equal(GateOutcome.TimedOut, await late);
        Assert.False(ended.IsCompleted);
        await pool.CancelAsync();
        Assert.Equal(GateOutcome.Ended, await ended);

        Assert.Equal((1, 0), (gate.Taken, gate.Waiting));
        gate.Release();
        Assert.True(gate.TryTake());
    }

    [Fact]
    public async Task A_synchronous_caller_is_woken_too()
    {
        var gate = new FairGate(1);
        gate.TryTake();
        using var pool = new CancellationTokenSource();
        var outcomes = new[]
        {
            OnThread(() => gate.TakeAsync(NewTenant(), 10, Patience, _time, default, async: false, Ct)),
            OnThread(() => gate.TakeAsync(NewTenant(), 10, Patience, _time, pool.Token, async: false, Ct)),
        };
        await Eventually.TrueAsync(() => gate.Waiting == 2);

        await pool.CancelAsync();
        Assert.Equal(GateOutcome.Ended, await outcomes[1]);
        gate.Release();
        Assert.Equal(GateOutcome.Taken, await outcomes[0]);

        static Task<GateOutcome> OnThread(Func<ValueTask<GateOutcome>> take) =>
            Task.Factory.StartNew(
                () =>
                {
                    var taking = take();
                    Assert.True(taking.IsCompleted);
                    return taking.Result;
                },
                Ct,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default
            );
    }

    [Fact]
    public async Task After_the_number_was_lowered_what_is_taken_counts_and_after_it_was_raised_those_who_wait_are_served()
    {
        var gate = new FairGate(4);
        for (var i = 0; i < 4; i++)
        {
            Assert.True(gate.TryTake());
        }

        gate.Resize(2);
        gate.Release();
        gate.Release();
        Assert.False(gate.TryTake());
        gate.Release();
        Assert.True(gate.TryTake());

        var waiting = new[] { TakeAsync(gate, NewTenant()), TakeAsync(gate, NewTenant()) };
        gate.Resize(4);

        Assert.Equal(GateOutcome.Taken, await waiting[0]);
        Assert.Equal(GateOutcome.Taken, await waiting[1]);
        Assert.Equal(4, gate.Taken);
    }

    [Fact]
    public async Task How_many_are_taken_can_be_told_while_their_number_changes()
    {
        var gate = new FairGate(2);
        Assert.True(gate.TryTake());
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var changing = Task.Run(
            () =>
            {
                while (!enough.IsCancellationRequested)
                {
                    gate.Resize(FairGate.Unlimited);
                    gate.Resize(2);
                }
            },
            Ct
        );
        try
        {
            for (var i = 0; i < 1_000_000; i++)
            {
                Assert.Equal(1, gate.Taken);
            }
        }
        finally
        {
            await enough.CancelAsync();
            await changing;
        }
    }

    [Fact]
    public async Task No_permit_is_lost_or_given_twice_whatever_many_threads_do_at_once()
    {
        const int Permits = 3;
        var gate = new FairGate(Permits);
        var tenants = Enumerable.Range(0, 5).Select(_ => NewTenant()).ToArray();
        var (inside, most) = (0, 0);

        await Task.WhenAll(Enumerable.Range(0, 16).Select(seed => Task.Run(() => WorkAsync(new Random(seed)), Ct)));

        Assert.InRange(most, 1, Permits);
        Assert.Equal((0, 0), (gate.Taken, gate.Waiting));
        Assert.All(Enumerable.Range(0, Permits), _ => Assert.True(gate.TryTake()));
        Assert.False(gate.TryTake());

        async Task WorkAsync(Random random)
        {
            for (var i = 0; i < 1_000; i++)
            {
                if (!gate.TryTake())
                {
                    using var giveUp = new CancellationTokenSource();
                    var taking = gate.TakeAsync(
                        tenants[random.Next(tenants.Length)],
                        random.Next(1, 8),
                        Patience,
                        _time,
                        random.Next(2) == 0 ? giveUp.Token : default,
                        random.Next(8) != 0,
                        random.Next(2) == 0 ? giveUp.Token : default
                    );
                    if (random.Next(3) == 0)
                    {
                        await giveUp.CancelAsync();
                    }

                    try
                    {
                        if (await taking != GateOutcome.Taken)
                        {
                            continue;
                        }
                    }
                    catch (OperationCanceledException)
                    {
                        continue;
                    }
                }

                var now = Interlocked.Increment(ref inside);
                Assert.InRange(now, 1, Permits);
                most = Math.Max(most, now);
                if (random.Next(4) == 0)
                {
                    await Task.Yield();
                }

                Interlocked.Decrement(ref inside);
                gate.Release();
            }
        }
    }

    private static TenantId NewTenant() => new(Guid.NewGuid());

    private ValueTask<GateOutcome> TakeAsync(FairGate gate, TenantId tenant, int mostWaiting = int.MaxValue) =>
        new(
            gate.TakeAsync(tenant, mostWaiting, Patience, _time, default, async: true, Ct)
                .AsTask()
                .WaitAsync(Hung, TimeProvider.System, Ct)
        );
}
