using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

namespace NeoCommons.EfCore.Admin.Tests.Registry;

/// <summary>What is done of what no notification tells, and after a reading that failed.</summary>
public sealed class RegistryFeedFaultTests(TestServers servers)
{
    private readonly LaterTime _time = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_reading_that_failed_half_way_is_begun_again_where_it_began()
    {
        await using var app = await StartAsync();
        var acme = (await app.AdoptAsync("acme"))[0];
        await app.ReloadAsync();
        var heard = new ConcurrentQueue<TenantId?>();
        using var listening = app.Get<ITenantStore>().OnChange(heard.Enqueue);

        // The log can be read, and the connections cannot.
        await app.AdminAsync(
            "BEGIN; UPDATE admin.tenants SET name = 'changed'; INSERT INTO admin.registry_changes (kind) VALUES ('connections'); "
                + "ALTER TABLE admin.database_connections RENAME TO hidden; COMMIT"
        );
        await Eventually.TrueAsync(() => app.Get<RegistryMetrics>().Age > TimeSpan.FromSeconds(1));
        Assert.Empty(heard);
        await app.AdminAsync("ALTER TABLE admin.hidden RENAME TO database_connections");

        await Eventually.TrueAsync(() => heard.Contains(acme.Id));
    }

    [Fact]
    public async Task Where_the_log_cannot_be_read_tenants_are_kept_for_a_moment_only()
    {
        await using var app = await StartAsync();
        await app.AdoptAsync("acme");
        var (store, registry) = (app.Get<ITenantStore>(), app.Get<IConnectionRegistry>());
        await app.ReloadAsync();
        Assert.Equal("acme", (await store.FindBySlugAsync("acme", Ct))!.Name);
        await app.AdminAsync(
            "DROP TABLE admin.registry_changes CASCADE; DROP TRIGGER notify_registry ON admin.database_connections; "
                + "DROP TRIGGER notify_registry ON admin.tenants; UPDATE admin.database_connections SET pool_max_size = 7"
        );
        await Eventually.EqualAsync(7, async () => (await registry.FindAsync("db1", Ct))!.MaxPoolSize);

        await app.AdminAsync("UPDATE admin.tenants SET name = 'changed'");

        await Eventually.EqualAsync("changed", async () => (await store.FindBySlugAsync("acme", Ct))!.Name);
    }

    [Fact]
    public async Task Connections_are_read_again_after_ten_minutes_though_no_trigger_tells()
    {
        await using var app = await StartAsync();
        var registry = app.Get<IConnectionRegistry>();
        await app.ReloadAsync();
        await app.AdminAsync(
            "ALTER TABLE admin.database_connections DISABLE TRIGGER notify_registry; "
                + "UPDATE admin.database_connections SET pool_max_size = 7"
        );
        await Task.Delay(TimeSpan.FromSeconds(1), Ct);
        Assert.Equal(20, (await registry.FindAsync("db1", Ct))!.MaxPoolSize);

        _time.PutForward(TimeSpan.FromMinutes(10));

        await Eventually.EqualAsync(7, async () => (await registry.FindAsync("db1", Ct))!.MaxPoolSize);
    }

    [Fact]
    public async Task Each_hour_the_log_is_shortened()
    {
        await using var app = await StartAsync();
        await app.AdminAsync(
            "INSERT INTO admin.registry_changes (kind, changed_at) VALUES ('connections', now() - interval '2 days')"
        );

        _time.PutForward(TimeSpan.FromHours(1));

        await Eventually.EqualAsync(
            0L,
            async () =>
                (long)
                    (
                        await app.AdminAsync(
                            "SELECT count(*) FROM admin.registry_changes WHERE changed_at < now() - interval '1 day'"
                        )
                    )!
        );
    }

    [Fact]
    public async Task Where_it_cannot_be_shortened_changes_are_followed_all_the_same()
    {
        var log = new LogRecorder();
        await using var app = await StartAsync(log);
        await app.AdminAsync(
            "CREATE FUNCTION admin.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''kept''; END'; "
                + "CREATE TRIGGER keep BEFORE DELETE ON admin.registry_changes EXECUTE FUNCTION admin.keep()"
        );

        _time.PutForward(TimeSpan.FromHours(1));

        await Eventually.TrueAsync(() => log.Lines.Any(l => l.Contains(" 5013: ", StringComparison.Ordinal)));
        Assert.DoesNotContain(log.Lines, l => l.Contains(" 5004: ", StringComparison.Ordinal));
    }

    private Task<TestApp> StartAsync(LogRecorder? log = null) =>
        TestApp.StartAsync(
            servers.Postgres,
            settings: new Dictionary<string, string?> { ["NeoCommons:AdminDatabase:RefreshInterval"] = "00:00:00.2" },
            configure: b =>
            {
                b.Services.AddSingleton<TimeProvider>(_time);
                if (log is not null)
                {
                    b.Services.AddSingleton<ILoggerProvider>(log);
                }
            }
        );
}
