using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>
/// What the benchmark of queries does, in each of its ways: as many round trips as EF's own pool of contexts takes on one
/// fixed schema, from the third use of a connection's statements on, past the fifth, where the driver prepares them.
/// </summary>
public sealed class WorkloadRoundTripTests(TestServers servers, KeptApps apps) : IClassFixture<KeptApps>
{
    // The driver prepares what it has seen five times.
    private const int Times = 6;

    // A busy machine disturbs one of six now and then. What a lease takes more is there each time: each attempt has another connection.
    private const int Attempts = 30;
    private const int Rows = 60;

    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(10);

    private static readonly (string, string?)[] Roles = [("NeoCommons:Connections:TenantRoles", "true")];
    private static readonly (string, string?)[] Shared = [("NeoCommons:Connections:SharedSchemas:0", "shared")];
    private static readonly (string, string?)[] Prepared =
    [
        ("NeoCommons:Connections:SessionReset", nameof(SessionReset.WhenUsed)),
        ("NeoCommons:Connections:MaxPreparedStatements", "20"),
    ];
    private static readonly (string, string?)[] PreparedAtOnce =
    [
        ("NeoCommons:Connections:SessionReset", nameof(SessionReset.WhenUsed)),
        ("NeoCommons:Connections:MaxPreparedStatements", "5000"),
        ("NeoCommons:Connections:PrepareAfterUses", "1"),
    ];

    private static readonly Dictionary<string, Func<TestServers, Task<RoundTripApp>>> Ways = new()
    {
        ["SearchPath, a new context each"] = s => StartAsync(s, SchemaBinding.SearchPath, [], isPooled: false),
        ["SearchPath"] = s => StartAsync(s, SchemaBinding.SearchPath, []),
        ["SearchPath, a shared schema"] = s => StartAsync(s, SchemaBinding.SearchPath, Shared),
        ["SearchPath, roles"] = s => StartAsync(s, SchemaBinding.SearchPath, Roles),
        ["SearchPath, WhenUsed, auto-prepare"] = s => StartAsync(s, SchemaBinding.SearchPath, Prepared),
        ["SearchPath, WhenUsed, prepared at the first use"] = s =>
            StartAsync(s, SchemaBinding.SearchPath, PreparedAtOnce),
        ["QualifiedNames, a new context each"] = s => StartAsync(s, SchemaBinding.QualifiedNames, [], isPooled: false),
        ["QualifiedNames"] = s => StartAsync(s, SchemaBinding.QualifiedNames, []),
        ["QualifiedNames, a shared schema"] = s => StartAsync(s, SchemaBinding.QualifiedNames, Shared),
        ["QualifiedNames, roles"] = s => StartAsync(s, SchemaBinding.QualifiedNames, Roles),
        ["QualifiedNames, WhenUsed, auto-prepare"] = s => StartAsync(s, SchemaBinding.QualifiedNames, Prepared),
        ["QualifiedNames, WhenUsed, prepared at the first use"] = s =>
            StartAsync(s, SchemaBinding.QualifiedNames, PreparedAtOnce),
        ["QualifiedNames, PgBouncer"] = s => StartAsync(s, SchemaBinding.QualifiedNames, [], isBehindPooler: true),
    };

    private static readonly Dictionary<string, Func<ShopDbContext, Task>> OneStatement = new()
    {
        ["point read"] = shop => shop.Products.AsNoTracking().FirstAsync(p => p.Id == 7, Ct),
        ["list of 50"] = shop => shop.Products.AsNoTracking().OrderBy(p => p.Id).Take(50).ToListAsync(Ct),
        ["insert of 1"] = shop => InsertAsync(shop, 1),
    };

    private static readonly Dictionary<string, Func<ShopDbContext, Task>> SeveralStatements = new()
    {
        ["transaction of 3"] = async shop =>
        {
            await using var transaction = await shop.Database.BeginTransactionAsync(Ct);
            var product = await shop.Products.FirstAsync(p => p.Id == 7, Ct);
            product.Price++;
            await shop.SaveChangesAsync(Ct);
            _ = await shop.Products.AsNoTracking().CountAsync(p => p.Id <= 7, Ct);
            await transaction.CommitAsync(Ct);
        },
        ["request of 2 reads and 1 write"] = async shop =>
        {
            var product = await shop.Products.FirstAsync(p => p.Id == 7, Ct);
            var page = shop.Products.AsNoTracking().Where(p => p.Id > 7).OrderBy(p => p.Id).Take(20);
            Assert.Equal(20, (await page.ToListAsync(Ct)).Count);
            product.Price++;
            await shop.SaveChangesAsync(Ct);
        },
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> AllWays() => [.. Ways.Keys];

    public static TheoryData<string, string> CasesOfOneStatement() =>
        new(Ways.Keys.SelectMany(way => OneStatement.Keys.Select(operation => (way, operation))));

    public static TheoryData<string, string> CasesOfSeveral() =>
        new(Ways.Keys.SelectMany(way => SeveralStatements.Keys.Select(operation => (way, operation))));

    public static TheoryData<string, string> CasesOfAll() =>
        new(CasesOfOneStatement().Concat(CasesOfSeveral()).Select(c => c.Data));

    [Theory]
    [MemberData(nameof(CasesOfOneStatement))]
    public async Task One_statement_is_one_round_trip(string way, string operation)
    {
        var (plain, tenant) = await CountAsync(way, OneStatement[operation]);

        Assert.Equal((1, 1), (Usual(plain), Usual(tenant)));
    }

    [Theory]
    [MemberData(nameof(CasesOfSeveral))]
    public async Task Several_statements_are_as_many_round_trips_as_without_tenants(string way, string operation)
    {
        var (plain, tenant) = await CountAsync(way, SeveralStatements[operation]);

        Assert.InRange(Usual(plain), 2, int.MaxValue);
        Assert.Equal(Usual(plain), Usual(tenant));
    }

    [Theory]
    [MemberData(nameof(CasesOfAll))]
    public async Task Another_tenant_each_time_on_the_same_connection_costs_no_round_trip(string way, string operation)
    {
        var use = OneStatement.TryGetValue(operation, out var one) ? one : SeveralStatements[operation];
        var (plain, tenants) = await CountAsync(way, use, tenants: ["acme", "globex"]);

        Assert.Equal(Usual(plain), Usual(tenants));
    }

    /// <summary>
    /// They fill the driver's buffer more than once, and the server may answer what was sent before them (the reset, BEGIN)
    /// while the rest is on its way, which the proxy counts. At a distance that is rare, and never does it count less.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllWays))]
    public async Task A_hundred_rows_are_as_many_round_trips_as_without_tenants(string way)
    {
        var (plain, tenant) = await CountAsync(way, shop => InsertAsync(shop, 100), Latency);

        Assert.Equal(Usual(plain), Usual(tenant));
    }

    private static long Usual(IReadOnlyList<long> trips)
    {
        Assert.True(AreAlike(trips), $"Round trips of one lease after the other: {string.Join(", ", trips)}.");
        return trips.Min();
    }

    // Where the server answers a part before the rest has come, which a busy machine does now and then, the proxy counts one more; it
    // never counts less.
    private static bool AreAlike(IReadOnlyList<long> trips) => trips.Distinct().Count() == 1;

    private static async Task<RoundTripApp> StartAsync(
        TestServers servers,
        SchemaBinding binding,
        (string, string?)[] settings,
        bool isPooled = true,
        bool isBehindPooler = false
    )
    {
        var app = await RoundTripApp.StartAsync(servers.Postgres, binding, settings, isPooled, isBehindPooler);
        await using var shop = app.Plain();
        await InsertAsync(shop, Rows);
        await using var other = await app.Tenant.CreateDbContextAsync("globex", Ct);
        await InsertAsync(other, Rows);
        return app;
    }

    private static Task InsertAsync(ShopDbContext shop, int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            shop.Products.Add(
                new Product
                {
                    Sku = Guid.NewGuid().ToString(),
                    Name = "new",
                    Price = i,
                }
            );
        }

        return shop.SaveChangesAsync(Ct);
    }

    private async Task<(IReadOnlyList<long> Plain, IReadOnlyList<long> Tenant)> CountAsync(
        string way,
        Func<ShopDbContext, Task> operation,
        TimeSpan latency = default,
        string[]? tenants = null
    )
    {
        tenants ??= ["acme"];
        var turn = 0;
        var app = await apps.GetAsync(way, () => Ways[way](servers));
        return (
            await CountAsync(() => new(app.Plain())),
            await CountAsync(() => app.Tenant.CreateDbContextAsync(tenants[turn++ % tenants.Length], Ct))
        );

        async Task<IReadOnlyList<long>> CountAsync(Func<ValueTask<ShopDbContext>> create)
        {
            var trips = new List<long>();
            for (var attempt = 1; trips.Count == 0 || (!AreAlike(trips) && attempt <= Attempts); attempt++)
            {
                // The second lease of a connection is like all that follow; the first one opens it and loads types.
                await CloseAllAsync(create);
                await RunAsync(create);
                await RunAsync(create);
                trips.Clear();
                app.Proxy.Latency = latency;
                for (var i = 0; i < Times; i++)
                {
                    app.Proxy.ResetCounters();
                    await RunAsync(create);
                    trips.Add(app.Proxy.Counters.RoundTrips);
                }

                app.Proxy.Latency = TimeSpan.Zero;
            }

            return trips;
        }

        // Nothing is prepared on those that come.
        async Task CloseAllAsync(Func<ValueTask<ShopDbContext>> create)
        {
            await using var shop = await create();
            NpgsqlConnection.ClearPool((NpgsqlConnection)shop.Database.GetDbConnection());
        }

        async Task RunAsync(Func<ValueTask<ShopDbContext>> create)
        {
            await using var shop = await create();
            await operation(shop);
        }
    }
}
