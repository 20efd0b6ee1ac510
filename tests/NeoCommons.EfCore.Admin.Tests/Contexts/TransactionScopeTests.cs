using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Shop;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>In a scope, and after it, the driver hands physical connections on without a reset.</summary>
public sealed class TransactionScopeTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<TestApp> StartAsync(int databases = 1) => TwoTenants.StartAsync(servers.Postgres, databases);

    [Fact]
    public async Task In_a_transaction_scope_each_lease_reaches_its_own_schema_and_a_raw_one_none()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
        }

        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            foreach (var slug in new[] { "acme", "globex", "acme" })
            {
                await using var shop = await app.Shop.CreateDbContextAsync(slug, Ct);
                shop.Products.Add(
                    new Product
                    {
                        Sku = Guid.NewGuid().ToString(),
                        Name = slug,
                        Price = 1,
                    }
                );
                await shop.SaveChangesAsync(Ct);
                Assert.All(await shop.Products.AsNoTracking().ToListAsync(Ct), p => Assert.Equal(slug, p.Name));
            }

            await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
            await Assert.ThrowsAsync<PostgresException>(() =>
                raw.ExecuteScalarAsync("SELECT count(*) FROM \"Products\"")
            );
        }
    }

    [Fact]
    public async Task Dapper_on_a_contexts_closed_connection_in_a_scope_never_reads_another_tenant()
    {
        await using var app = await StartAsync();
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        string? name = null;
        try
        {
            // Dapper opens a closed connection by itself.
            name = await acme.Database.GetDbConnection().QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"");
        }
        catch (Exception) { }

        Assert.NotEqual("globex", name);
    }

    [Fact]
    public async Task A_handed_out_data_source_in_a_scope_never_reads_a_tenant()
    {
        await using var app = await StartAsync();
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await using var raw = await source.OpenConnectionAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            raw.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"")
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_context_disposed_with_its_connection_open_in_a_scope_leaves_no_path(bool async)
    {
        await using var app = await TwoTenants.StartAsync(servers.Postgres);
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        Assert.Equal(1, await acme.Products.CountAsync(Ct));
        if (async)
        {
            await acme.DisposeAsync();
        }
        else
        {
            acme.Dispose();
        }

        await using var raw = await source.OpenConnectionAsync(Ct);
        await using var command = new NpgsqlCommand("SELECT \"Name\" FROM \"Products\"", raw);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteScalarAsync(Ct));
        Assert.Equal(PostgresErrorCodes.UndefinedTable, refused.SqlState);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task A_raw_connection_in_a_scope_sees_nothing_of_a_context_whose_connection_Dapper_closed(
        bool async,
        bool handedOut
    )
    {
        await using var app = await StartAsync();
        var source = await app.Databases.GetDataSourceAsync("db1", Ct);
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);

        // Dapper opens and closes it, and EF, which would take the path off, is not asked.
        var connection = acme.Database.GetDbConnection();
        const string Names = "SELECT \"Name\" FROM \"Products\"";
        Assert.Equal(
            "acme",
            async ? await connection.QuerySingleAsync<string>(Names) : connection.QuerySingle<string>(Names)
        );

        await using var raw = handedOut
            ? await source.OpenConnectionAsync(Ct)
            : await app.Databases.OpenConnectionAsync("db1", Ct);
        await Assert.ThrowsAsync<PostgresException>(() => raw.QueryAsync<string>(Names));
    }

    [Fact]
    public async Task A_tenants_connection_opened_again_in_a_scope_reads_nothing()
    {
        await using var app = await StartAsync();
        var acmeId = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!.Id;
        await using var acme = await app.Databases.OpenTenantConnectionAsync(acmeId, Ct);
        await acme.CloseAsync();
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await acme.OpenAsync(Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            acme.QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"")
        );
    }

    [Fact]
    public async Task A_tenants_raw_connection_is_refused_in_a_scope()
    {
        await using var app = await StartAsync();
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);

        await Assert.ThrowsAsync<TenantIsolationException>(async () =>
            await app.Databases.OpenTenantConnectionAsync(acme.Id, Ct)
        );
    }

    [Fact]
    public async Task A_connection_closed_and_opened_behind_its_context_stays_with_the_tenant()
    {
        await using var app = await StartAsync();
        using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await acme.Database.OpenConnectionAsync(Ct);
        await acme.Database.GetDbConnection().CloseAsync();
        await using (var globex = await app.Shop.CreateDbContextAsync("globex", Ct))
        {
            _ = await globex.Products.ToListAsync(Ct);
        }

        await acme.Database.GetDbConnection().OpenAsync(Ct);
        Assert.Equal("acme", (await acme.Products.AsNoTracking().SingleAsync(Ct)).Name);
    }

    [Fact]
    public async Task After_a_scope_an_unbound_connection_has_no_path()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            _ = await globex.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        Assert.Equal("neocommons_no_tenant", await raw.ExecuteScalarAsync<string>("SHOW search_path"));
    }

    [Fact]
    public async Task The_scope_of_a_request_does_not_hand_its_tenant_to_the_data_source_of_the_next()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await app.CreateTenantAsync("globex");
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            globex.Products.Add(
                new Product
                {
                    Sku = "1",
                    Name = "globex",
                    Price = 1,
                }
            );
            await globex.SaveChangesAsync(Ct);
            scope.Complete();
        }

        // Another request, no scope: "an unqualified table name is an error (42P01)".
        await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
        await Assert.ThrowsAsync<PostgresException>(() => raw.ExecuteAsync("DELETE FROM \"Products\""));
    }

    [Fact]
    public async Task After_a_scope_dapper_on_a_context_reads_nobody_else()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            _ = await globex.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        string? name = null;
        try
        {
            name = await acme.Database.GetDbConnection().QuerySingleAsync<string>("SELECT \"Name\" FROM \"Products\"");
        }
        catch (Exception) { }

        Assert.NotEqual("globex", name);
    }

    [Fact]
    public async Task A_read_only_context_in_a_scope_cannot_write()
    {
        await using var app = await StartAsync();
        var acme = (await app.Get<ITenantStore>().FindBySlugAsync("acme", Ct))!;
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct);
            try
            {
                await reader.Products.ExecuteDeleteAsync(Ct);
            }
            catch (PostgresException) { }

            scope.Complete();
        }

        await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await shop.Products.CountAsync(Ct));
    }

    [Fact]
    public async Task After_a_read_only_context_in_a_scope_the_next_lease_can_write()
    {
        await using var app = await StartAsync();
        var globex = (await app.Get<ITenantStore>().FindBySlugAsync("globex", Ct))!;
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var reader = await app.Shop.CreateReadOnlyDbContextAsync(globex.Id, Ct);
            _ = await reader.Products.ToListAsync(Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await acme.Products.ExecuteDeleteAsync(Ct));
    }

    [Fact]
    public async Task A_temporary_table_of_a_scope_is_not_seen_by_the_next_tenant()
    {
        await using var app = await StartAsync();
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var globex = await app.Shop.CreateDbContextAsync("globex", Ct);
            await globex.Database.ExecuteSqlRawAsync("CREATE TEMP TABLE basket AS SELECT 'globex' AS who", Ct);
            scope.Complete();
        }

        await using var acme = await app.Shop.CreateDbContextAsync("acme", Ct);
        await Assert.ThrowsAsync<PostgresException>(() =>
            acme.Database.SqlQueryRaw<string>("SELECT who AS \"Value\" FROM basket").SingleAsync(Ct)
        );
    }
}
