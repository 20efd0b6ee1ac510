using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>How a process learns what changed in the registry, whatever happens to its connection meanwhile.</summary>
public sealed class RegistryFeedTests(TestServers servers)
{
    private const string Hourly = "01:00:00";
    private static readonly string Key = TestApp.NewKey();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task None_of_a_thousand_changes_is_missed_while_the_listener_is_cut_off()
    {
        const int Tenants = 100;
        await using var app = await StartAsync();
        await app.AdoptManyAsync(Tenants);
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(proxy.GetConnectionString(app.AdminConnectionString));
        var store = other.Services.GetRequiredService<ITenantStore>();
        var all = await store.ListAsync(Ct).ToListAsync(Ct);
        foreach (var tenant in all)
        {
            await store.FindAsync(tenant.Id, Ct);
        }

        var heard = new ConcurrentDictionary<TenantId, bool>();
        using var listening = store.OnChange(id => heard[id!.Value] = true);
        proxy.RefuseConnections();
        proxy.Cut();
        await Parallel.ForEachAsync(
            Enumerable.Range(0, 1_000),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Ct },
            async (i, _) =>
                await app.AdminAsync(
                    $"UPDATE admin.tenants SET name = 'change {i}' WHERE slug = 't{(i % (Tenants - 1)) + 1:0000}'"
                )
        );
        Assert.Empty(heard);
        proxy.Restore();

        await Eventually.EqualAsync(Tenants - 1, () => Task.FromResult(heard.Count));
        await foreach (var tenant in app.Get<ITenantStore>().ListAsync(Ct))
        {
            Assert.Equal(tenant.Name, (await store.FindAsync(tenant.Id, Ct))!.Name);
            Assert.Equal(tenant.Slug != $"t{Tenants:0000}", heard.ContainsKey(tenant.Id));
        }

        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_change_that_is_committed_after_a_later_one_is_not_missed()
    {
        await using var app = await StartAsync();
        var tenants = await app.AdoptAsync("acme", "globex");
        var store = app.Get<ITenantStore>();
        await using var slow = new NpgsqlConnection(app.AdminConnectionString + ";Pooling=false");
        await slow.OpenAsync(Ct);
        await using var transaction = await slow.BeginTransactionAsync(Ct);
        await new NpgsqlCommand(
            "UPDATE admin.tenants SET name = 'slow' WHERE slug = 'acme'",
            slow
        ).ExecuteNonQueryAsync(Ct);
        await app.ReloadAsync();
        var heard = new ConcurrentQueue<TenantId?>();
        using var listening = store.OnChange(heard.Enqueue);

        await app.AdminAsync("UPDATE admin.tenants SET name = 'quick' WHERE slug = 'globex'");
        await Eventually.TrueAsync(() => heard.Contains(tenants[1].Id));
        await store.FindAsync(tenants[0].Id, Ct);
        Assert.DoesNotContain(tenants[0].Id, heard);
        await transaction.CommitAsync(Ct);

        // Told, and not only read again since what was loaded amid changes lasts no longer than a second.
        await Eventually.TrueAsync(() => heard.Contains(tenants[0].Id));
        await Eventually.EqualAsync("slow", async () => (await store.FindAsync(tenants[0].Id, Ct))!.Name);
    }

    [Fact]
    public async Task Who_may_change_tenants_and_nothing_else_is_heard_too()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();
        var role = "operator_" + Guid.NewGuid().ToString("N");
        await app.AdminAsync(
            $"CREATE ROLE {role}; GRANT USAGE ON SCHEMA admin TO {role}; GRANT SELECT, UPDATE ON admin.tenants TO {role}"
        );
        try
        {
            await app.AdminAsync($"SET ROLE {role}; UPDATE admin.tenants SET name = 'heard'");
            await Eventually.EqualAsync("heard", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
        }
        finally
        {
            await app.AdminAsync($"DROP OWNED BY {role}; DROP ROLE {role}");
        }
    }

    [Fact]
    public async Task What_replication_applies_is_heard_too()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();
        await app.AdminAsync("SET session_replication_role = replica; UPDATE admin.tenants SET name = 'replicated'");
        await Eventually.EqualAsync("replicated", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
    }

    [Fact]
    public async Task Where_notifications_do_not_come_through_changes_are_found_all_the_same()
    {
        await using var app = await StartAsync(refresh: "00:00:00.2");
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();
        await app.AdminAsync(
            "ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; "
                + $"UPDATE admin.tenants SET name = 'silent'; INSERT INTO admin.registry_changes (kind, tenant_id, slugs) VALUES ('tenant', '{acme.Id}', ARRAY['acme'])"
        );
        await Eventually.EqualAsync("silent", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
    }

    [Fact]
    public async Task A_log_that_could_not_be_read_is_read_again_soon_and_not_only_in_an_hour()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();
        await Eventually.EqualAsync("acme", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
        await app.AdminAsync(
            "ALTER TABLE admin.registry_changes RENAME COLUMN slugs TO away; NOTIFY neocommons_registry"
        );
        await Eventually.TrueAsync(() => !app.Get<TenantCache>().IsFollowed);
        await app.AdminAsync("ALTER TABLE admin.registry_changes RENAME COLUMN away TO slugs");

        // Nobody calls it, and the interval is an hour.
        await Eventually.TrueAsync(() => app.Get<TenantCache>().IsFollowed);
    }

    [Fact]
    public async Task Where_the_log_is_not_there_yet_connections_are_read_again_all_the_same()
    {
        await using var app = await StartAsync(refresh: "00:00:00.2");
        await app.AdminAsync(
            "DROP TABLE admin.registry_changes CASCADE; DROP TRIGGER notify_registry ON admin.database_connections; "
                + "UPDATE admin.database_connections SET pool_max_size = 7"
        );
        var registry = app.Get<IConnectionRegistry>();
        await Eventually.EqualAsync(7, async () => (await registry.FindAsync("db1", Ct))!.MaxPoolSize);
    }

    [Theory]
    [InlineData(
        "INSERT INTO admin.registry_changes (kind, tenant_id) SELECT 'tenant', gen_random_uuid() FROM generate_series(1, 10001)"
    )]
    [InlineData("INSERT INTO admin.registry_changes (kind) VALUES ('tenants')")]
    public async Task Of_too_many_changes_it_is_told_that_any_tenant_may_have_changed(string many)
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var store = app.Get<ITenantStore>();
        await Eventually.TrueAsync(async () => (await store.FindAsync(acme.Id, Ct)) is not null);
        var heard = new ConcurrentQueue<TenantId?>();
        using var listening = store.OnChange(heard.Enqueue);
        await app.AdminAsync(
            "BEGIN; ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; UPDATE admin.tenants SET name = 'one of many'; "
                + $"{many}; NOTIFY neocommons_registry; COMMIT"
        );

        await Eventually.EqualAsync("one of many", async () => (await store.FindAsync(acme.Id, Ct))!.Name);
        await Eventually.TrueAsync(() => heard.Contains(null));
    }

    [Fact]
    public async Task Connections_that_come_change_and_go_are_told_and_a_listener_that_fails_stops_nobody()
    {
        await using var app = await StartAsync();
        var registry = app.Get<IConnectionRegistry>();
        var heard = new ConcurrentQueue<string>();
        using var failing = registry.OnChange(_ => throw new InvalidOperationException("of the application"));
        var deaf = registry.OnChange(heard.Enqueue);
        deaf.Dispose();
        using var listening = registry.OnChange(heard.Enqueue);

        await TestApp.RegisterAsync(app.Services, servers.Postgres, "db9", "nowhere");
        await Eventually.TrueAsync(() => heard.ToArray() is ["db9"]);
        await app.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 3 WHERE connection_name = 'db9'");
        await Eventually.TrueAsync(() => heard.ToArray() is ["db9", "db9"]);
        Assert.Equal(3, (await registry.FindAsync("db9", Ct))!.MaxPoolSize);
        await app.AdminAsync("DELETE FROM admin.database_connections WHERE connection_name = 'db9'");
        await Eventually.TrueAsync(() => heard.ToArray() is ["db9", "db9", "db9"]);
        Assert.Null(await registry.FindAsync("db9", Ct));
    }

    [Fact]
    public async Task Of_a_hundred_thousand_tenants_a_process_reads_and_keeps_those_in_use()
    {
        const int Tenants = 100_000;
        const int Kept = 500;
        await using var app = await StartAsync();
        await app.AdminAsync(
            "ALTER TABLE admin.tenants DISABLE TRIGGER notify_registry; INSERT INTO admin.tenants (slug, name, schema_name, connection_id) "
                + "SELECT 't' || to_char(i, 'FM000000'), 't', 'tenant_t' || to_char(i, 'FM000000'), c.id "
                + $"FROM generate_series(1, {Tenants}) AS i, admin.database_connections c; ANALYZE admin.tenants"
        );
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        using var other = await StartOtherAsync(
            proxy.GetConnectionString(app.AdminConnectionString),
            ("NeoCommons:AdminDatabase:CachedTenants", $"{Kept}")
        );
        var store = other.Services.GetRequiredService<ITenantStore>();
        Assert.NotNull(await store.FindBySlugAsync("t077777", Ct));
        Assert.InRange(proxy.Counters.BytesToClient, 1, 200_000);

        for (var i = 1; i <= 3 * Kept; i++)
        {
            Assert.NotNull(await store.FindBySlugAsync($"t{i:000000}", Ct));
        }

        var memory = other.Services.GetRequiredService<TenantCache>().Memory;
        await Eventually.TrueAsync(() => memory.Count <= 2 * Kept);
        await other.StopAsync(Ct);
    }

    [Fact]
    public async Task A_lookup_of_a_known_tenant_and_its_connection_allocates_next_to_nothing()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        var (store, registry) = (app.Get<ITenantStore>(), app.Get<IConnectionRegistry>());
        await store.FindAsync(acme.Id, Ct);
        var least = long.MaxValue;
        for (var i = 0; i < 5_000; i++)
        {
            var thread = Environment.CurrentManagedThreadId;
            var before = GC.GetAllocatedBytesForCurrentThread();
            var tenant = await store.FindAsync(acme.Id, CancellationToken.None);
            var connection = await registry.FindAsync(tenant!.ConnectionName, CancellationToken.None);
            if (Environment.CurrentManagedThreadId == thread)
            {
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }

            Assert.NotNull(connection);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{least} bytes");
        Assert.InRange(least, 0, 200);
    }

    [Fact]
    public async Task A_position_that_is_too_old_or_of_another_server_knows_nothing()
    {
        await using var app = await StartAsync();
        var log = app.Get<RegistryChangeLog>();
        var (now, changes) = await log.ReadAsync(null, TimeSpan.FromHours(1), Ct);
        Assert.NotEmpty(changes!);
        Assert.Empty((await log.ReadAsync(now, default, Ct)).Changes!);

        Assert.Null((await log.ReadAsync(now with { ReadAt = now.ReadAt.AddDays(-1) }, default, Ct)).Changes);
        Assert.Null((await log.ReadAsync(now with { Snapshot = "9999999999:9999999999:" }, default, Ct)).Changes);
        Assert.Null((await log.ReadAsync(now with { StartedAt = now.StartedAt.AddDays(-1) }, default, Ct)).Changes);
    }

    [Fact]
    public async Task A_connection_that_has_died_in_the_pool_is_replaced_and_no_failure()
    {
        await using var app = await StartAsync();
        var log = app.Get<RegistryChangeLog>();
        var (now, _) = await log.ReadAsync(null, default, Ct);
        await app.AdminAsync(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                + "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        );
        Assert.NotNull((await log.ReadAsync(now, default, Ct)).Changes);
    }

    [Fact]
    public async Task A_day_of_changes_is_kept()
    {
        await using var app = await StartAsync();
        await app.AdminAsync(
            "DELETE FROM admin.registry_changes; INSERT INTO admin.registry_changes (kind, changed_at) "
                + "SELECT 'connections', now() - h * interval '1 hour' FROM generate_series(20, 29) h"
        );
        await app.Get<RegistryChangeLog>().PruneAsync(Ct);
        Assert.Equal(4L, await app.AdminAsync("SELECT count(*) FROM admin.registry_changes"));
    }

    private Task<TestApp> StartAsync(string refresh = Hourly) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:AdminDatabase:RefreshInterval"] = refresh,
                ["DB_ENCRYPTION_KEY"] = Key,
            }
        );

    private async Task<IHost> StartOtherAsync(string admin, params (string Key, string Value)[] settings)
    {
        var all = settings.ToDictionary(s => s.Key, s => (string?)s.Value);
        all["ADMIN_DATABASE_URL"] = admin;
        all["DB_ENCRYPTION_KEY"] = Key;
        all["NeoCommons:AdminDatabase:RefreshInterval"] = Hourly;
        var host = TestApp.BuildHost(servers.Postgres, "unused", all);
        await host.StartAsync(Ct);

        // From then on it tells what changes, and not that anything may have.
        await Eventually.TrueAsync(() => host.Services.GetRequiredService<TenantCache>().IsFollowed);
        return host;
    }
}
