using Dapper;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>What tenancy costs on the wire, against plain EF on one fixed schema.</summary>
public sealed class RoundTripTests(TestServers servers, KeptApps apps) : IClassFixture<KeptApps>
{
    private static readonly Dictionary<string, Func<ShopDbContext, Task>> Operations = new()
    {
        ["LINQ read"] = shop => shop.Products.AsNoTracking().Where(p => p.Sku != "").ToListAsync(Ct),
        ["LINQ read, sync"] = shop =>
        {
            _ = shop.Products.AsNoTracking().Count();
            return Task.CompletedTask;
        },
        ["save one row"] = shop => SaveAsync(shop, 1),
        ["save three rows"] = shop => SaveAsync(shop, 3),
        ["ExecuteUpdate"] = shop => shop.Products.ExecuteUpdateAsync(s => s.SetProperty(p => p.Price, 2), Ct),
        ["FromSql"] = shop => shop.Products.FromSqlRaw("SELECT * FROM \"Products\"").AsNoTracking().ToListAsync(Ct),
        ["composed FromSql"] = shop =>
            shop.Products.FromSqlRaw("SELECT * FROM \"Products\"").Where(p => p.Price > 0).CountAsync(Ct),
        ["SqlQuery"] = shop =>
            shop.Database.SqlQueryRaw<int>("SELECT 1 AS \"Value\"").Where(n => n > 0).ToListAsync(Ct),
        ["ExecuteSql"] = shop => shop.Database.ExecuteSqlRawAsync("UPDATE \"Products\" SET \"Price\" = 3", Ct),
        ["Dapper"] = shop => shop.Database.GetDbConnection().QueryAsync<string>("SELECT \"Name\" FROM \"Products\""),
        ["COPY"] = CopyAsync,
        ["transaction"] = async shop =>
        {
            await using var transaction = await shop.Database.BeginTransactionAsync(Ct);
            await SaveAsync(shop, 1);
            await transaction.CommitAsync(Ct);
        },
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> Cases()
    {
        var cases = new TheoryData<string, bool>();
        foreach (var operation in Operations.Keys)
        {
            cases.Add(operation, false);
            cases.Add(operation, true);
        }

        return cases;
    }

    /// <summary>Those whose SQL is EF's own.</summary>
    public static TheoryData<string, bool> CasesOfEf() =>
        new(
            Cases()
                .Select(c => c.Data)
                .Where(c =>
                    c.Item1 is "ExecuteUpdate" or "transaction"
                    || c.Item1.StartsWith("LINQ")
                    || c.Item1.StartsWith("save")
                )
        );

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Tenancy_costs_no_round_trip(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(operation, isExplicit);

        Assert.True(plain > 0);
        Assert.Equal(plain, tenant);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Without_the_prepend_tenancy_costs_one_round_trip_an_open(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(
            operation,
            isExplicit,
            ("NeoCommons:Connections:BindWithFirstCommand", "false")
        );

        // Where the application may have the connection in hand, EF's commands are bound again, each with a round trip here.
        Assert.Equal(plain + (operation is "transaction" ? 2 : 1), tenant);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Resetting_only_what_was_used_costs_no_round_trip(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(
            operation,
            isExplicit,
            ("NeoCommons:Connections:SessionReset", nameof(SessionReset.WhenUsed))
        );

        Assert.Equal(plain, tenant);
    }

    [Theory]
    [MemberData(nameof(CasesOfEf))]
    public async Task Qualified_names_cost_no_round_trip(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(
            operation,
            isExplicit,
            SchemaBinding.QualifiedNames,
            // Nothing to prepend: with its switch off, nothing is sent either.
            ("NeoCommons:Connections:BindWithFirstCommand", "false")
        );

        Assert.Equal(plain, tenant);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_role_of_the_tenant_costs_no_round_trip(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(operation, isExplicit, ("NeoCommons:Connections:TenantRoles", "true"));

        Assert.Equal(plain, tenant);
    }

    [Theory]
    [MemberData(nameof(CasesOfEf))]
    public async Task A_role_of_the_tenant_costs_no_round_trip_beside_qualified_names(string operation, bool isExplicit)
    {
        var (plain, tenant) = await CountAsync(
            operation,
            isExplicit,
            SchemaBinding.QualifiedNames,
            ("NeoCommons:Connections:TenantRoles", "true")
        );

        Assert.Equal(plain, tenant);
    }

    private static Task SaveAsync(ShopDbContext shop, int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            shop.Products.Add(
                new Product
                {
                    Sku = Guid.NewGuid().ToString(),
                    Name = "x",
                    Price = 1,
                }
            );
        }

        return shop.SaveChangesAsync(Ct);
    }

    private static async Task CopyAsync(ShopDbContext shop)
    {
        var connection = (NpgsqlConnection)shop.Database.GetDbConnection();
        var opens = connection.State != System.Data.ConnectionState.Open;
        if (opens)
        {
            await connection.OpenAsync(Ct);
        }

        await using (
            var import = await connection.BeginTextImportAsync("COPY \"Orders\" (\"Customer\") FROM STDIN", Ct)
        )
        {
            await import.WriteAsync("somebody\n");
        }

        if (opens)
        {
            await connection.CloseAsync();
        }
    }

    private Task<(long Plain, long Tenant)> CountAsync(
        string operation,
        bool isExplicit,
        params (string Key, string? Value)[] settings
    ) => CountAsync(operation, isExplicit, SchemaBinding.SearchPath, settings);

    private async Task<(long Plain, long Tenant)> CountAsync(
        string operation,
        bool isExplicit,
        SchemaBinding binding,
        params (string Key, string? Value)[] settings
    )
    {
        var app = await apps.GetAsync(
            $"{binding} {string.Join(' ', settings)}",
            () => RoundTripApp.StartAsync(servers.Postgres, binding, settings)
        );
        return (
            await CountAsync(() => new(app.Plain())),
            await CountAsync(() => app.Tenant.CreateDbContextAsync("acme", Ct))
        );

        async Task<long> CountAsync(Func<ValueTask<ShopDbContext>> create)
        {
            // The second lease of a connection is like all that follow; the first one opens it and loads types.
            await RunAsync(create);
            await RunAsync(create);
            app.Proxy.ResetCounters();
            await RunAsync(create);
            return app.Proxy.Counters.RoundTrips;
        }

        async Task RunAsync(Func<ValueTask<ShopDbContext>> create)
        {
            await using var shop = await create();
            if (isExplicit)
            {
                await shop.Database.OpenConnectionAsync(Ct);
            }

            await Operations[operation](shop);
        }
    }
}
