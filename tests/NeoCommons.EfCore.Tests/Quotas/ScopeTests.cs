using System.Transactions;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Quotas;

/// <summary>Within a <see cref="TransactionScope"/> nobody waits for a turn: what he waits for may be his own.</summary>
public sealed class ScopeTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public enum Way
    {
        Context,
        SynchronousContext,
        Own,
        Nobody,
    }

    [Theory]
    [InlineData(Way.Context)]
    [InlineData(Way.SynchronousContext)]
    [InlineData(Way.Own)]
    public async Task An_open_at_the_tenants_limit_goes_on_and_is_counted(Way way)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 4 });
        var tenant = await app.AddTenantAsync(row, "acme");
        tenant = tenant with
        {
            Limits = new TenantLimits { MaxConnections = 1, MaxWaiting = 0 },
        };
        app.Tenants.Set(tenant);
        await using (await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct))
        {
            using (NewScope())
            await using (await OpenAsync(app, tenant, way))
            {
                Assert.Equal((2, 0), await Held.OfTenantAsync(app, tenant, row));
                Assert.Equal(2, await Held.OfPoolAsync(app, row));
            }

            Assert.Equal((1, 0), await Held.OfTenantAsync(app, tenant, row));

            // Outside of it the limit is one.
            await Assert.ThrowsAsync<TenantQuotaExceededException>(() => OpenAsync(app, tenant, way));
        }

        Assert.Equal((0, 0), await Held.OfTenantAsync(app, tenant, row));
        Assert.Equal(0, await Held.OfPoolAsync(app, row));
    }

    [Theory]
    [InlineData(Way.Context)]
    [InlineData(Way.SynchronousContext)]
    [InlineData(Way.Own)]
    [InlineData(Way.Nobody)]
    public async Task A_scope_that_opens_again_and_a_caller_who_waits_for_its_connection_both_go_on(Way way)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row =>
            row with
            {
                MaxPoolSize = 1,
                PoolTimeout = TimeSpan.FromSeconds(60),
            }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        Task<NpgsqlConnection> waiting;
        using (var scope = NewScope())
        {
            await using (await OpenAsync(app, tenant, way)) { }

            // It has his turn, and the scope has the connection.
            using (ExecutionContext.SuppressFlow())
            {
                waiting = Task.Run(() => app.Connections.OpenConnectionAsync(row.Name, Ct).AsTask(), Ct);
            }

            await Eventually.EqualAsync(1, () => Task.FromResult(app.Connections.GetPoolMetrics(row.Name).Pending));
            Assert.Equal(1, await Held.OfPoolAsync(app, row));
            await using (await OpenAsync(app, tenant, way)) { }

            Assert.False(waiting.IsCompleted);
            scope.Complete();
        }

        await using (await waiting) { }

        Assert.Equal(0, await Held.OfPoolAsync(app, row));
        Assert.Equal(1, await app.CountBackendsAsync(row));
    }

    [Theory]
    [InlineData(Way.Context)]
    [InlineData(Way.SynchronousContext)]
    [InlineData(Way.Own)]
    [InlineData(Way.Nobody)]
    public async Task What_ends_between_the_completion_of_its_scope_and_the_end_of_it_gives_all_back(Way way)
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var tenant = await app.AddTenantAsync(row, "acme");
        using (var scope = NewScope())
        await using (await OpenAsync(app, tenant, way))
        {
            // Transaction.Current throws from here on.
            scope.Complete();
        }

        Assert.Equal((0, 0), await Held.OfTenantAsync(app, tenant, row));
        Assert.Equal(0, await Held.OfPoolAsync(app, row));
        var source = await app.AcquireAsync(row.Name);
        Assert.Equal(0, source.Life.Leases);

        // What was done in it is nobody else's: neither a path nor a transaction is left.
        await using var next = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var command = new NpgsqlCommand("SELECT current_setting('search_path')", next);
        Assert.DoesNotContain("acme", (string)(await command.ExecuteScalarAsync(Ct))!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_that_the_application_closes_in_a_scope_that_is_complete_gives_all_back()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        using (var scope = NewScope())
        {
            await context.Database.GetDbConnection().OpenAsync(Ct);
            Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
            scope.Complete();
            await context.Database.GetDbConnection().CloseAsync();
            Assert.Equal(0, await Held.OfPoolAsync(app, row));
        }

        await using var next = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var command = new NpgsqlCommand("SELECT current_setting('search_path')", next);
        Assert.DoesNotContain("acme", (string)(await command.ExecuteScalarAsync(Ct))!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_whose_bind_fails_is_not_kept()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:TenantRoles"] = "true",
                ["NeoCommons:Connections:BindWithFirstCommand"] = "false",
            }
        );
        var row = await app.AddDatabaseAsync(row => row with { MaxPoolSize = 1 });

        // Nobody has made the tenant's role.
        var tenant = await app.AddTenantAsync(row, "acme");
        int pid;
        await using (var nobody = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            pid = await RuntimeApp.PidAsync(nobody);
        }

        using (NewScope())
        {
            await Assert.ThrowsAsync<PostgresException>(() => OpenAsync(app, tenant, Way.Own));
        }

        Assert.Equal(0, await Held.OfPoolAsync(app, row));
        await using var next = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.NotEqual(pid, await RuntimeApp.PidAsync(next));
    }

    private static TransactionScope NewScope() => new(TransactionScopeAsyncFlowOption.Enabled);

    /// <summary>Opens a connection of the tenant, and has it do something; it closes with what is returned.</summary>
    private static async Task<IAsyncDisposable> OpenAsync(RuntimeApp app, Tenant tenant, Way way)
    {
        if (way == Way.Nobody)
        {
            return await app.Connections.OpenConnectionAsync(tenant.ConnectionName, Ct);
        }

        var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        try
        {
            switch (way)
            {
                case Way.Own:
                    await context.Database.GetDbConnection().OpenAsync(Ct);
                    break;
                case Way.SynchronousContext:
                    context.Database.OpenConnection();
                    break;
                default:
                    await context.Database.OpenConnectionAsync(Ct);
                    break;
            }

            Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
            return context;
        }
        catch
        {
            await context.DisposeAsync();
            throw;
        }
    }
}
