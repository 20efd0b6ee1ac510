using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>An admin database that hangs holds nobody up for longer than it must.</summary>
public sealed class AdminDatabaseOutageTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_known_tenant_does_not_wait_for_an_admin_database_that_hangs()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        var admin = await servers.Postgres.CreateDatabaseAsync(ct: Ct);
        var url = new NpgsqlConnectionStringBuilder(servers.Postgres.GetConnectionString(admin))
        {
            Host = proxy.Host,
            Port = proxy.Port,
            CommandTimeout = 4,
            Timeout = 4,
        };
        using var host = TestApp.BuildHost(
            servers.Postgres,
            admin,
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = url.ConnectionString,
                ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:00.5",
            },
            b => b.AddTenantDbContext<ShopDbContext>()
        );
        await host.Services.MigrateAdminDatabaseAsync(Ct);
        await TestApp.RegisterAsync(
            host.Services,
            servers.Postgres,
            "db1",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await host.StartAsync(Ct);
        await host
            .Services.GetRequiredService<ITenantProvisioner>()
            .CreateAsync(
                new NewTenant
                {
                    Slug = "acme",
                    Name = "a",
                    ConnectionName = "db1",
                },
                Ct
            );
        var tenants = host.Services.GetRequiredService<ITenantStore>();

        // The creation is a change that is heard of, too: from here on nothing is.
        await host.Services.GetRequiredService<IRegistryReload>().ReloadAsync(Ct);
        Assert.NotNull(await tenants.FindBySlugAsync("acme", Ct));
        proxy.Latency = TimeSpan.FromMinutes(1);

        // It is asked for again at the next use: what is followed is answered from memory for ten minutes.
        host.Services.GetRequiredService<AdminTenantStore>().ForgetAll();
        var started = Stopwatch.GetTimestamp();
        var found = await Record.ExceptionAsync(async () => Assert.NotNull(await tenants.FindBySlugAsync("acme", Ct)));
        var took = Stopwatch.GetElapsedTime(started).TotalSeconds;
        proxy.Latency = TimeSpan.Zero;
        Assert.True(took < 1, $"{took:0.0} s, {found}");
    }

    [Fact]
    public async Task Callers_of_an_unreachable_admin_database_do_not_wait_for_one_another()
    {
        // Answers nobody: each try takes the whole timeout.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var port = ((IPEndPoint)silent.LocalEndpoint).Port;
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "x",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] =
                    $"Host=127.0.0.1;Port={port};Username=u;Password=p;Database=d;Timeout=1;SSL Mode=Disable",
            }
        );
        var registry = host.Services.GetRequiredService<IConnectionRegistry>();
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(_ => Record.ExceptionAsync(async () => await registry.FindAsync("db1", Ct)).AsTask())
        );
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 4);
    }

    [Fact]
    public async Task A_caller_who_gives_up_waiting_for_the_first_load_stops_no_other()
    {
        await using var first = await TestApp.StartAsync(servers.Postgres);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        proxy.Latency = TimeSpan.FromMilliseconds(100);
        using var host = TestApp.BuildHost(
            servers.Postgres,
            "unused",
            new Dictionary<string, string?>
            {
                ["ADMIN_DATABASE_URL"] = proxy.GetConnectionString(first.AdminConnectionString),
            }
        );
        var registry = host.Services.GetRequiredService<IConnectionRegistry>();
        using var impatient = CancellationTokenSource.CreateLinkedTokenSource(Ct);

        var gaveUp = registry.FindAsync("db1", impatient.Token).AsTask();
        var waited = registry.FindAsync("db1", Ct).AsTask();
        await impatient.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gaveUp);
        Assert.NotNull(await waited);
    }
}
