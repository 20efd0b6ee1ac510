using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Models of tenants, asked for by many at a time.</summary>
public sealed class ModelPerSchemaConcurrencyTests(TestServers servers)
{
    private const int Threads = 8;

    // Only ends a test that would wait for ever.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static readonly Tenant Acme = new()
    {
        Id = new TenantId(Guid.NewGuid()),
        Slug = "acme",
        Name = "Acme",
        Schema = SchemaName.Parse("tenant_acme"),
        ConnectionName = "db1",
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(200)]
    [InlineData(2)]
    public async Task Eight_threads_on_cold_models_get_their_tenants(int cachedModels)
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres, cachedModels: cachedModels);
        var tenants = await app.AddTenantsAsync(12);
        using var start = new Barrier(Threads);
        await Task.WhenAll(
            Enumerable
                .Range(0, Threads)
                .Select(thread =>
                    Task.Factory.StartNew(() => Run(thread), Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                )
        );

        void Run(int thread)
        {
            start.SignalAndWait(Ct);
            for (var i = 0; i < 4 * tenants.Count; i++)
            {
                // All on the same tenant at first, each on another later.
                var tenant = tenants[(i + thread * (i / tenants.Count)) % tenants.Count];
                using var parts = app.Parts.CreateDbContextAsync(tenant.Id, Ct).AsTask().GetAwaiter().GetResult();
                Assert.Equal(tenant.Slug, parts.Parts.Single().Name);
            }
        }

        Assert.All(
            tenants,
            tenant => Assert.InRange(PartsContext.ModelsBuilt(tenant), 1, cachedModels == 2 ? int.MaxValue : 1)
        );
    }

    /// <remarks>A context's services are locked while it asks for its model: whoever builds with another one's waits for ever.</remarks>
    [Fact]
    public async Task Whoever_builds_a_model_builds_it_with_its_own_context()
    {
        const int Keys = 3_000;
        var models = new TenantModels(size: Keys);
        var (built, others) = (0, 0);
        using var start = new Barrier(Threads);
        await Task.WhenAll(
            Enumerable
                .Range(0, Threads)
                .Select(_ => Task.Factory.StartNew(Run, Ct, TaskCreationOptions.LongRunning, TaskScheduler.Default))
        );

        Assert.Equal((Keys, 0), (built, others));

        void Run()
        {
            var caller = Environment.CurrentManagedThreadId;
            for (var key = 0; key < Keys; key++)
            {
                Assert.True(start.SignalAndWait(Patience, Ct));
                models.GetOrAdd(
                    new(Acme, key),
                    () =>
                    {
                        Interlocked.Increment(ref built);
                        if (Environment.CurrentManagedThreadId != caller)
                        {
                            Interlocked.Increment(ref others);
                        }

                        return new(null!, null!);
                    }
                );
            }
        }
    }

    [Fact]
    public async Task What_fails_to_be_built_fails_once_for_all_who_wait_and_is_built_for_who_asks_later()
    {
        var models = new TenantModels(size: 1);
        var key = new TenantModels.Key(Acme, "fails");
        var built = 0;
        using var building = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        var asking = Enumerable.Range(0, Threads).Select(_ => Task.Run(() => models.GetOrAdd(key, Fail), Ct)).ToList();
        Assert.True(building.Wait(Patience, Ct));
        await Eventually.TrueAsync(() => ThreadPool.PendingWorkItemCount == 0);
        goOn.Set();

        foreach (var one in asking)
        {
            Assert.Equal("once", (await Assert.ThrowsAsync<FormatException>(() => one)).Message);
        }

        // Who came too late to wait has built anew.
        Assert.InRange(built, 1, 2);
        var pair = new TenantModels.Pair(null!, null!);
        Assert.Same(pair, models.GetOrAdd(key, () => pair));
        Assert.Same(pair, models.GetOrAdd(key, Fail));

        TenantModels.Pair Fail()
        {
            Interlocked.Increment(ref built);
            building.Set();
            Assert.True(goOn.Wait(Patience, Ct));
            throw new FormatException("once");
        }
    }

    [Fact]
    public void A_model_that_needs_itself_is_refused()
    {
        var models = new TenantModels(size: 1);
        var key = new TenantModels.Key(Acme, "itself");

        TenantModels.Pair Build() => models.GetOrAdd(key, Build);

        Assert.Throws<InvalidOperationException>(Build);
    }

    [Fact]
    public async Task Who_asks_for_a_model_that_is_being_built_waits_for_it()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres);
        var tenant = (await app.AddTenantsAsync(1))[0];
        using var building = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        PartsContext.Building[tenant.Id] = () =>
        {
            building.Set();
            goOn.Wait(Ct);
        };
        var asking = Enumerable.Range(0, Threads).Select(_ => Task.Run(ModelAsync, Ct)).ToList();
        Assert.True(building.Wait(Patience, Ct));
        Assert.DoesNotContain(asking, task => task.IsCompleted);
        goOn.Set();

        Assert.Single((await Task.WhenAll(asking)).Distinct<IModel>(ReferenceEqualityComparer.Instance));
        Assert.Equal(1, PartsContext.ModelsBuilt(tenant));

        async Task<IModel> ModelAsync()
        {
            await using var parts = await app.Parts.CreateDbContextAsync(tenant.Id, Ct);
            return parts.Model;
        }
    }

    [Fact]
    public async Task A_tenant_does_not_wait_for_another_ones_model()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres);
        var tenants = await app.AddTenantsAsync(2);
        using var goOn = new ManualResetEventSlim();
        using var building = new ManualResetEventSlim();
        PartsContext.Building[tenants[0].Id] = () =>
        {
            building.Set();
            goOn.Wait(Ct);
        };
        var slow = Task.Run(() => ReadAsync(tenants[0]), Ct);
        Assert.True(building.Wait(Patience, Ct));
        try
        {
            await Task.Run(() => ReadAsync(tenants[1]), Ct).WaitAsync(Patience, Ct);
        }
        finally
        {
            goOn.Set();
            await slow;
        }

        async Task ReadAsync(Tenant tenant)
        {
            await using var parts = await app.Parts.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal(tenant.Slug, Assert.Single(parts.Parts).Name);
        }
    }

    [Fact]
    public async Task A_model_whose_building_failed_is_built_again()
    {
        await using var app = await PartsApp.StartAsync(servers.Postgres);
        var tenant = (await app.AddTenantsAsync(1))[0];
        PartsContext.Building[tenant.Id] = () => throw new TimeoutException("The settings cannot be read.");
        await Assert.ThrowsAsync<TimeoutException>(async () => await app.Parts.CreateDbContextAsync(tenant.Id, Ct));
        PartsContext.Building.Remove(tenant.Id, out _);

        await using var parts = await app.Parts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal(tenant.Slug, Assert.Single(parts.Parts).Name);
        Assert.Equal(2, PartsContext.ModelsBuilt(tenant));
    }
}
