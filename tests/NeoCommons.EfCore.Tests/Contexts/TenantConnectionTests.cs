using System.Data;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>What EF and the application's interceptors are told of a tenant's connection.</summary>
public sealed class TenantConnectionTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Interceptors_hear_of_one_that_cannot_be_opened(bool async)
    {
        var heard = new Heard();
        await using var app = Start(heard);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var tenant = await AddAsync(app, proxy);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        proxy.RefuseConnections();

        await Assert.ThrowsAsync<ConnectionUnavailableException>(() => ReadAsync(context, async));

        Assert.Contains(heard.Failures, failure => failure is ConnectionUnavailableException);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interceptor_that_opens_it_and_lets_EF_open_it_too_is_refused_and_takes_no_ones_place(
        bool async
    )
    {
        var heard = new Heard { Opens = true };
        await using var app = Start(heard);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var tenant = await AddAsync(app, proxy, row => row with { MaxPoolSize = 1 });
        await using (var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => ReadAsync(context, async));
            Assert.Contains("Suppress()", refused.Message, StringComparison.Ordinal);
        }

        heard.Opens = false;
        for (var i = 0; i < 3; i++)
        {
            await using var next = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            Assert.Equal("acme", (await next.Items.SingleAsync(Ct)).Owner);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interceptor_that_opens_it_in_EFs_place_has_it_bound(bool async)
    {
        var heard = new Heard { Opens = true, Suppresses = true };
        await using var app = Start(heard);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var tenant = await AddAsync(app, proxy, row => row with { MaxPoolSize = 1 });
        for (var i = 0; i < 3; i++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await ReadAsync(context, async);
            Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
        }

        Assert.All(
            heard.Events.Where(e => e.StartsWith("opened", StringComparison.Ordinal)),
            e => Assert.Equal("opened Open tenant_acme", e)
        );
    }

    [Fact]
    public async Task A_data_source_of_the_application_is_not_asked()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var source = NpgsqlDataSource.Create(proxy.GetConnectionString(servers.Postgres.ConnectionString));
        await using var app = new RuntimeApp(
            servers.Postgres,
            configure: services => services.AddSingleton(source),
            contexts: b => b.AddPooledTenantDbContext<ItemsContext>()
        );
        var tenant = await app.AddTenantAsync(await app.AddDatabaseAsync(), "acme");
        for (var id = 2; id < 5; id++)
        {
            await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            context.Add(new Item { Id = id, Owner = "acme" });
            await context.SaveChangesAsync(Ct);
            Assert.Equal(id, await context.Items.CountAsync(Ct));
        }

        Assert.Equal(0, proxy.Counters.Connections);
    }

    [Fact]
    public async Task A_pooled_context_that_was_told_to_lead_elsewhere_serves_the_next_lease()
    {
        await using var app = new RuntimeApp(
            servers.Postgres,
            contexts: b => b.AddPooledTenantDbContext<ItemsContext>()
        );
        var row = await app.AddDatabaseAsync();
        var (acme, globex) = (await app.AddTenantAsync(row, "acme"), await app.AddTenantAsync(row, "globex"));
        await using (var context = await app.Contexts.CreateDbContextAsync(acme.Id, Ct))
        {
            Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
            context.Database.SetConnectionString(servers.Postgres.ConnectionString);
            await Assert.ThrowsAsync<TenantIsolationException>(() => context.Items.ToListAsync(Ct));
        }

        await using var next = await app.Contexts.CreateDbContextAsync(globex.Id, Ct);
        Assert.Equal("globex", (await next.Items.SingleAsync(Ct)).Owner);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interceptor_that_suppresses_the_open_leaves_it_closed_and_nothing_is_read(bool async)
    {
        var heard = new Heard { Suppresses = true };
        await using var app = Start(heard);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var tenant = await AddAsync(app, proxy);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        proxy.ResetCounters();

        await Assert.ThrowsAsync<InvalidOperationException>(() => ReadAsync(context, async));

        Assert.Equal(0, proxy.Counters.RoundTrips);
        heard.Suppresses = false;
        Assert.Equal("acme", (await context.Items.SingleAsync(Ct)).Owner);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Interceptors_see_it_open_and_bound_and_closed(bool async)
    {
        var heard = new Heard();
        await using var app = Start(heard);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var tenant = await AddAsync(app, proxy);
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        await ReadAsync(context, async);

        Assert.Equal(["opening Closed", "opened Open tenant_acme", "closing Open", "closed Closed"], heard.Events);
    }

    private static async Task ReadAsync(ItemsContext context, bool async) =>
        _ = async ? await context.Items.ToListAsync(Ct) : context.Items.ToList();

    private RuntimeApp Start(Heard heard) =>
        new(servers.Postgres, contexts: b => b.AddTenantDbContext<ItemsContext>(o => o.AddInterceptors(heard)));

    private static async Task<Tenant> AddAsync(
        RuntimeApp app,
        TcpFaultProxy proxy,
        Func<DatabaseConnection, DatabaseConnection>? change = null
    )
    {
        var row = await app.AddDatabaseAsync(row => row with { Host = proxy.Host, Port = proxy.Port });
        app.Registry.Set(change is null ? row : row = change(row));
        return await app.AddTenantAsync(row, "acme");
    }

    private sealed class Heard : DbConnectionInterceptor
    {
        public List<string> Events { get; } = [];

        public List<Exception> Failures { get; } = [];

        public bool Suppresses { get; set; }

        public bool Opens { get; set; }

        public override InterceptionResult ConnectionOpening(
            DbConnection connection,
            ConnectionEventData eventData,
            InterceptionResult result
        )
        {
            Events.Add($"opening {connection.State}");
            if (Opens)
            {
                connection.Open();
            }

            return Suppresses ? InterceptionResult.Suppress() : result;
        }

        public override ValueTask<InterceptionResult> ConnectionOpeningAsync(
            DbConnection connection,
            ConnectionEventData eventData,
            InterceptionResult result,
            CancellationToken cancellationToken = default
        ) => new(ConnectionOpening(connection, eventData, result));

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            if (connection.State != ConnectionState.Open)
            {
                return;
            }

            using var command = connection.CreateCommand();
            command.CommandText = "SELECT current_schema()";
            Events.Add($"opened {connection.State} {command.ExecuteScalar()}");
        }

        public override Task ConnectionOpenedAsync(
            DbConnection connection,
            ConnectionEndEventData eventData,
            CancellationToken cancellationToken = default
        )
        {
            ConnectionOpened(connection, eventData);
            return Task.CompletedTask;
        }

        public override InterceptionResult ConnectionClosing(
            DbConnection connection,
            ConnectionEventData eventData,
            InterceptionResult result
        )
        {
            Events.Add($"closing {connection.State}");
            return result;
        }

        public override ValueTask<InterceptionResult> ConnectionClosingAsync(
            DbConnection connection,
            ConnectionEventData eventData,
            InterceptionResult result
        ) => new(ConnectionClosing(connection, eventData, result));

        public override void ConnectionClosed(DbConnection connection, ConnectionEndEventData eventData) =>
            Events.Add($"closed {connection.State}");

        public override Task ConnectionClosedAsync(DbConnection connection, ConnectionEndEventData eventData)
        {
            ConnectionClosed(connection, eventData);
            return Task.CompletedTask;
        }

        public override void ConnectionFailed(DbConnection connection, ConnectionErrorEventData eventData) =>
            Failures.Add(eventData.Exception);

        public override Task ConnectionFailedAsync(
            DbConnection connection,
            ConnectionErrorEventData eventData,
            CancellationToken cancellationToken = default
        )
        {
            ConnectionFailed(connection, eventData);
            return Task.CompletedTask;
        }
    }
}
