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

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public async Task A_pool_that_cannot_be_built_leaves_no_timer_however_often_it_is_asked_for(
        bool throws,
        bool hasReplicas
    )
    {
        var time = new CountingTimers();
        await using var app = new RuntimeApp(
            servers.Postgres,
            time: time,
            contexts: builder =>
                builder.ConfigureDataSources(source =>
                {
                    if (throws)
                    {
                        throw new InvalidOperationException("not today");
                    }

                    source.ConnectionStringBuilder.Port++;
                })
        );
        var row = await app.AddDatabaseAsync(row =>
            hasReplicas ? row with { ReplicaHosts = ReplicaHosts.Parse("127.0.0.1:1") } : row
        );
        for (var i = 0; i < 100; i++)
        {
            var failure = await Record.ExceptionAsync(async () =>
                await app.Connections.OpenConnectionAsync(row.Name, Ct)
            );
            Assert.IsType(throws ? typeof(InvalidOperationException) : typeof(ConnectionUnavailableException), failure);
        }

        Assert.Equal(0, time.Alive);
    }

    [Fact]
    public async Task A_limit_that_cannot_be_is_no_limit_less()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        app.Tenants.Set(tenant with { Limits = new() { CommandsPerSecond = -1 } });

        for (var i = 0; i < 3; i++)
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
                await app.Contexts.CreateDbContextAsync(tenant.Id, Ct)
            );
            Assert.Contains("CommandsPerSecond is -1", refused.Message, StringComparison.Ordinal);
        }

        app.Tenants.Set(tenant with { Limits = new() { CommandsPerSecond = 1 } });
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        // The refused ones hold nothing.
        Assert.Equal(1, (await app.AcquireAsync(row.Name)).Life.Leases);
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
