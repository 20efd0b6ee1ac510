using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Connections;

/// <summary>What is done with schemas where the row names a primary and its standby.</summary>
public sealed class SeveralHostsTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_export_is_of_the_primary_and_not_of_one_that_was_replaced()
    {
        await using var hosts = await Hosts.StartAsync(servers);
        var acme = await hosts.App.CreateTenantAsync("acme", "home");
        await hosts.ReplaceAsync();
        await UntilAsync(() => hosts.TryOrderAsync(acme, "after-the-promotion"));
        await hosts.Primary.StartAgainAsync(Ct);
        await hosts.App.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        var folder = Directory.CreateTempSubdirectory("neocommons-export");
        try
        {
            var file = Path.Combine(folder.FullName, "acme.dump");

            await hosts.App.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme", ExportTo = file }, Ct);

            using var restore = Process.Start(
                new ProcessStartInfo("pg_restore")
                {
                    ArgumentList = { "--data-only", "--file=-", file },
                    RedirectStandardOutput = true,
                }
            )!;
            Assert.Contains("after-the-promotion", await restore.StandardOutput.ReadToEndAsync(Ct));
            await restore.WaitForExitAsync(Ct);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_session_that_is_kept_from_tenant_to_tenant_is_left_when_its_server_is_replaced()
    {
        await using var hosts = await Hosts.StartAsync(servers);
        await using var worker = new WorkerConnection(
            hosts.App.Get<TenantDataSources>(),
            hosts.App.Get<ConnectionOpening>()
        );
        Assert.Equal(hosts.Primary.Port, (await worker.OpenAsync("home", Ct)).Port);
        Assert.Equal(hosts.Primary.Port, (await worker.OpenAsync("home", Ct)).Port);
        var guard = worker.Source.Hosts!.Guard;
        await hosts.CatchUpAsync();

        // The old one goes on.
        await hosts.Standby.PromoteAsync(Ct);
        await UntilAsync(() => Task.FromResult(guard.States[0].Refusal is not null));

        Assert.Equal(hosts.Standby.Port, (await worker.OpenAsync("home", Ct)).Port);
    }

    [Fact]
    public async Task A_session_that_is_kept_is_left_when_the_row_has_changed()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres);
        await using var worker = new WorkerConnection(app.Get<TenantDataSources>(), app.Get<ConnectionOpening>());
        var first = (await worker.OpenAsync("db1", Ct)).ProcessID;
        Assert.Equal(first, (await worker.OpenAsync("db1", Ct)).ProcessID);
        var source = worker.Source;

        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = pool_max_size + 1");
        await UntilAsync(() => Task.FromResult(source.Life.Retiring.IsCancellationRequested));

        Assert.NotEqual(first, (await worker.OpenAsync("db1", Ct)).ProcessID);
        Assert.NotSame(source, worker.Source);
    }

    [Fact]
    public async Task What_was_just_made_or_migrated_is_read_at_the_primary_until_the_standby_has_it()
    {
        await using var hosts = await Hosts.StartAsync(servers);
        await hosts.CatchUpAsync();
        await Hosts.ExecuteAsync(hosts.Standby, "SELECT pg_wal_replay_pause()");

        var acme = await hosts.App.CreateTenantAsync("acme", "home");

        await using (var reader = await hosts.App.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct))
        {
            Assert.Equal(0, await reader.Orders.CountAsync(Ct));
        }

        await Hosts.ExecuteAsync(hosts.Standby, "SELECT pg_wal_replay_resume()");
        await hosts.CatchUpAsync();
        await Hosts.ExecuteAsync(
            hosts.Primary,
            "DROP SCHEMA tenant_acme CASCADE; CREATE SCHEMA tenant_acme",
            hosts.Database
        );
        await hosts.CatchUpAsync();
        var pool = hosts.App.Get<TenantDataSources>().Current.Single();
        await UntilAsync(() => Task.FromResult(pool.Hosts!.Writes.Count == 0));
        await Hosts.ExecuteAsync(hosts.Standby, "SELECT pg_wal_replay_pause()");

        await hosts.App.Migrator.MigrateAsync(acme.Id, Ct);

        await using var again = await hosts.App.Shop.CreateReadOnlyDbContextAsync(acme.Id, Ct);
        Assert.Equal(0, await again.Orders.CountAsync(Ct));
        await Hosts.ExecuteAsync(hosts.Standby, "SELECT pg_wal_replay_resume()");
    }

    [Fact]
    public async Task The_admin_database_is_not_the_row_that_has_several_hosts()
    {
        await using var app = await TestApp.StartAsync(servers.Postgres, databases: 0);
        var admin = app.Get<AdminDatabase>();

        Assert.True(admin.IsSame(admin.Row with { Name = "home" }));
        Assert.False(admin.IsSame(admin.Row with { Name = "home", ReplicaHosts = ReplicaHosts.Parse("db-2") }));
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!await holds())
        {
            await Task.Delay(50, limit.Token);
        }
    }

    private sealed record Hosts(TestApp App, PostgresServer Primary, PostgresServer Standby, string Database)
        : IAsyncDisposable
    {
        public static async Task<Hosts> StartAsync(TestServers servers)
        {
            var primary = await PostgresServer.StartAsync(new() { Source = ServerSource.Binaries }, Ct);
            var standby = await primary.StartStandbyAsync(Ct);
            var app = await TestApp.StartAsync(
                servers.Postgres,
                databases: 0,
                configure: b => b.AddTenantDbContext<ShopDbContext>()
            );
            var database = await primary.CreateDatabaseAsync(ct: Ct);
            await TestApp.RegisterAsync(
                app.Services,
                primary,
                "home",
                database,
                row => row.ReplicaHosts = $"{standby.Host}:{standby.Port}"
            );
            await app.ReloadAsync();
            return new(app, primary, standby, database);
        }

        /// <summary>Executes SQL as the superuser, beside the library.</summary>
        public static async Task<object?> ExecuteAsync(PostgresServer server, string sql, string database = "postgres")
        {
            await using var source = NpgsqlDataSource.Create(server.GetConnectionString(database));
            await using var command = source.CreateCommand(sql);
            return await command.ExecuteScalarAsync(Ct);
        }

        // As when its machine dies: it is not told that it was replaced.
        public async Task ReplaceAsync()
        {
            await CatchUpAsync();
            await Primary.StopAsync(immediate: true, Ct);
            await Standby.PromoteAsync(Ct);
        }

        public async Task CatchUpAsync()
        {
            var written = await ExecuteAsync(Primary, "SELECT pg_current_wal_insert_lsn()::text");
            await UntilAsync(async () =>
                (bool)(await ExecuteAsync(Standby, $"SELECT pg_last_wal_replay_lsn() >= '{written}'"))!
            );
        }

        public async Task<bool> TryOrderAsync(Tenant tenant, string customer) =>
            await Record.ExceptionAsync(async () =>
            {
                await using var shop = await App.Shop.CreateDbContextAsync(tenant.Id, Ct);
                shop.Orders.Add(new Order { Customer = customer });
                await shop.SaveChangesAsync(Ct);
            })
                is null;

        public async ValueTask DisposeAsync()
        {
            await App.DisposeAsync();
            await Standby.DisposeAsync();
            await Primary.DisposeAsync();
        }
    }
}
