using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>The timer that forgets tenants lives as long as its pool, and is nobody's.</summary>
public sealed class TenantQuotasTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_row_that_cannot_be_used_leaves_no_timer_however_often_it_is_asked_for()
    {
        var time = new CountingTimers();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        app.Registry.Set(row with { Name = "faulty", Port = 0 });
        for (var i = 0; i < 10; i++)
        {
            var refusal = await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Connections.OpenConnectionAsync("faulty", Ct)
            );
            Assert.Equal(ConnectionUnavailableReason.InvalidConfiguration, refusal.Reason);
        }

        Assert.Equal(0, time.Alive);

        // One that can be used has one, until its pool is closed.
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        Assert.Equal(1, time.Alive);
        await app.Connections.CloseAsync(row.Name);
        Assert.Equal(0, time.Alive);
    }

    [Fact]
    public async Task It_runs_on_behalf_of_no_caller()
    {
        var time = new CountingTimers();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();

        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        Assert.Equal((1, 0), (time.Alive, time.MadeWithCallersContext));
        Assert.False(ExecutionContext.IsFlowSuppressed());
    }

    /// <summary>Those that were used in the last minutes: ten thousand of them take less than 10 MB.</summary>
    [Fact]
    public async Task A_tenant_that_is_in_use_takes_less_than_a_kilobyte()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.NewDatabaseAsync();
        using var quotas = new TenantQuotas(new ConnectionOptions(), TimeProvider.System);
        var paths = app.Services.GetRequiredService<SearchPath>();
        var taken = new List<long>();
        for (var i = 0; i < 1_000; i++)
        {
            var tenant = new Tenant
            {
                Id = new TenantId(Guid.NewGuid()),
                Slug = $"tenant-{i}",
                Name = "A tenant",
                Schema = SchemaName.Parse($"tenant_{i}"),
                ConnectionName = row.Name,
            };
            var before = GC.GetAllocatedBytesForCurrentThread();
            var limiter = quotas.Enter(tenant, row);
            Assert.True(limiter.Connections.TryTake());
            limiter.Activity.Returned(limiter.Activity.Acquired());
            limiter.Connections.Release();
            limiter.Leave();
            _ = paths.To(tenant).Statement(inTransaction: false)!.Message;
            taken.Add(GC.GetAllocatedBytesForCurrentThread() - before);
        }

        // Tables that grow take more now and then.
        taken.Sort();
        Assert.InRange(taken[taken.Count / 2], 1, 1_000);
    }

    /// <summary>Counts the timers that forget tenants.</summary>
    private sealed class CountingTimers : TimeProvider
    {
        private int _alive;
        private int _madeWithCallersContext;

        public int Alive => Volatile.Read(ref _alive);

        public int MadeWithCallersContext => Volatile.Read(ref _madeWithCallersContext);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (state is not TenantQuotas)
            {
                return timer;
            }

            Interlocked.Increment(ref _alive);
            if (!ExecutionContext.IsFlowSuppressed())
            {
                Interlocked.Increment(ref _madeWithCallersContext);
            }

            return new Counted(timer, this);
        }

        private sealed class Counted(ITimer timer, CountingTimers all) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(dueTime, period);

            public void Dispose()
            {
                Interlocked.Decrement(ref all._alive);
                timer.Dispose();
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
