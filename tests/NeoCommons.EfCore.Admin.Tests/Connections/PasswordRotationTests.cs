using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Admin.Tests.Contexts;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Connections;

/// <summary>The orders in which docs/secrets.md lets a password be rotated, and what each costs.</summary>
public sealed class PasswordRotationTests(AuthenticationLog log) : IClassFixture<AuthenticationLog>
{
    private const int Callers = 50;
    private const string First = "first-4711";
    private const string Second = "second-4711";
    private static readonly TimeSpan BackOff = TimeSpan.FromSeconds(5);

    private readonly string _role = AuthenticationLog.NewRole();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_role_first_costs_one_failure_until_the_registry_follows()
    {
        await using var app = await StartAsync();
        await using var held = await app.Databases.OpenConnectionAsync("db1", Ct);
        var (pool, pid) = (await PoolAsync(app), held.ProcessID);

        await AlterRoleAsync(app);
        var failures = await CallAsync(app);
        AssertRefusedOrServed(failures);
        Assert.Contains(failures, failure => failure is not null);
        await StoreAsync(app, _role, Second);
        await Eventually.TrueAsync(async () => (await CallAsync(app)).All(failure => failure is null));

        Assert.Equal(1, await log.CountAsync(_role));
        await AssertSameAsync(app, pool, held, pid);
    }

    [Fact]
    public async Task The_registry_first_costs_one_failure_in_each_back_off_until_the_role_follows()
    {
        await using var app = await StartAsync();
        await using var held = await app.Databases.OpenConnectionAsync("db1", Ct);
        var (pool, pid) = (await PoolAsync(app), held.ProcessID);

        var begun = Stopwatch.GetTimestamp();
        await StoreAsync(app, _role, Second);
        var failures = await CallAsync(app);
        AssertRefusedOrServed(failures);
        Assert.Contains(failures, failure => failure is not null);
        AssertRefusedOrServed(await CallAsync(app));
        await AlterRoleAsync(app);
        var most = 1 + (int)(Stopwatch.GetElapsedTime(begun) / BackOff);
        await Eventually.TrueAsync(async () => (await CallAsync(app)).All(failure => failure is null));

        Assert.InRange(await log.CountAsync(_role), 1, most);
        await AssertSameAsync(app, pool, held, pid);
    }

    [Fact]
    public async Task A_process_that_has_not_heard_yet_looks_once_more_and_fails_no_caller()
    {
        await using var app = await StartAsync();
        await using var held = await app.Databases.OpenConnectionAsync("db1", Ct);
        var (pool, pid) = (await PoolAsync(app), held.ProcessID);

        // Nothing tells that the row has changed.
        await app.AdminAsync("ALTER TABLE admin.database_connections DISABLE TRIGGER USER");
        var token = await TestApp.PlainTokenAsync(app.Services, Second);
        await app.AdminAsync($"UPDATE admin.database_connections SET encrypted_password = '{token}'");
        await AlterRoleAsync(app);

        Assert.All(await CallAsync(app), Assert.Null);

        Assert.Equal(1, await log.CountAsync(_role));
        await AssertSameAsync(app, pool, held, pid);
    }

    [Fact]
    public async Task Two_roles_that_overlap_cost_nothing()
    {
        await using var app = await StartAsync();
        var other = AuthenticationLog.NewRole();
        await CreateRoleAsync(app, other, Second);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var calls = 0;
        var failures = new List<Exception>();
        var load = Enumerable
            .Range(0, 4)
            .Select(_ =>
                Task.Run(
                    async () =>
                    {
                        while (!stop.IsCancellationRequested)
                        {
                            // Each of these opens connections, and gives them back.
                            var found = await CallAsync(app, callers: 8);
                            lock (failures)
                            {
                                failures.AddRange(found.OfType<Exception>());
                            }

                            Interlocked.Increment(ref calls);
                        }
                    },
                    Ct
                )
            )
            .ToList();
        await ProgressAsync();
        var before = await app.Get<TenantDataSources>().AcquireAsync("db1", Ct);
        before.Release();

        await StoreAsync(app, other, Second);
        await ProgressAsync();

        // Who has a context of the old pool may be about to open it.
        await before.Life.WhenOver.WaitAsync(Ct);
        await Eventually.EqualAsync(0L, () => BackendsAsync(app, _role));
        await app.DirectAsync("db1", $"ALTER ROLE {_role} NOLOGIN");
        await ProgressAsync();
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.Empty(failures);
        Assert.Equal(0, await log.CountAsync(_role) + await log.CountAsync(other));
        Assert.NotEqual(0L, await BackendsAsync(app, other));

        Task ProgressAsync()
        {
            var seen = Volatile.Read(ref calls);
            return Eventually.TrueAsync(() => Volatile.Read(ref calls) > seen + 8);
        }
    }

    private async Task<TestApp> StartAsync()
    {
        var app = await TwoTenants.StartAsync(
            log.Postgres,
            settings: new Dictionary<string, string?>
            {
                ["NeoCommons:Connections:RefusedPasswordBackOff"] = BackOff.ToString(),
            }
        );
        await CreateRoleAsync(app, _role, First);
        await StoreAsync(app, _role, First);
        return app;
    }

    private static Task CreateRoleAsync(TestApp app, string role, string password) =>
        app.DirectAsync("db1", $"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password}'");

    private Task AlterRoleAsync(TestApp app) => app.DirectAsync("db1", $"ALTER ROLE {_role} PASSWORD '{Second}'");

    /// <summary>Stores it by plain SQL, and waits until the process has heard.</summary>
    private static async Task StoreAsync(TestApp app, string role, string password)
    {
        var token = await TestApp.PlainTokenAsync(app.Services, password);
        await app.AdminAsync(
            $"UPDATE admin.database_connections SET username = '{role}', encrypted_password = '{token}' WHERE connection_name = 'db1'"
        );
        var registry = app.Get<IConnectionRegistry>();
        await Eventually.TrueAsync(async () =>
            await registry.FindAsync("db1", Ct) is { } row
            && row.Username == role
            && row.Password.Equals(Secret.FromText(password))
        );
    }

    private static async Task<IReadOnlyList<Exception?>> CallAsync(TestApp app, int callers = Callers) =>
        await Task.WhenAll(
            Enumerable
                .Range(0, callers)
                .Select(caller =>
                    Record
                        .ExceptionAsync(async () =>
                        {
                            if (caller % 2 == 0)
                            {
                                await using var shop = await app.Shop.CreateDbContextAsync("acme", Ct);
                                Assert.Equal("acme", (await shop.Products.AsNoTracking().SingleAsync(Ct)).Name);
                                return;
                            }

                            await using var raw = await app.Databases.OpenConnectionAsync("db1", Ct);
                            await ExecuteAsync(raw);
                        })
                        .AsTask()
                )
        );

    private static void AssertRefusedOrServed(IEnumerable<Exception?> failures) =>
        Assert.All(
            failures,
            failure =>
            {
                if (failure is not null)
                {
                    Assert.Equal(
                        ConnectionUnavailableReason.AuthenticationFailed,
                        Assert.IsType<ConnectionUnavailableException>(failure).Reason
                    );
                }
            }
        );

    private static async Task<PooledDataSource> PoolAsync(TestApp app)
    {
        var pool = await app.Get<TenantDataSources>().AcquireAsync("db1", Ct);
        pool.Release();
        return pool;
    }

    private static async Task AssertSameAsync(TestApp app, PooledDataSource pool, NpgsqlConnection held, int pid)
    {
        Assert.Same(pool, await PoolAsync(app));
        Assert.Equal(pid, held.ProcessID);
        await ExecuteAsync(held);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        Assert.Equal(1, await command.ExecuteScalarAsync(Ct));
    }

    private static async Task<long> BackendsAsync(TestApp app, string role) =>
        (long)
            (
                await app.AdminAsync(
                    $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND datname <> current_database()"
                )
            )!;
}
