using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A changed row takes effect with the next lease and disturbs none that lives.</summary>
public sealed class ChangedRowTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task New_leases_use_the_new_database_while_a_context_made_before_keeps_its_own()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var before = await app.AddDatabaseAsync();
        var after = await app.NewDatabaseAsync() with { Name = before.Name };
        var tenant = await app.AddTenantAsync(before, "acme");
        await app.AddTenantAsync(after, "acme");
        app.Tenants.Set(tenant);
        await app.DirectAsync(before, "UPDATE tenant_acme.items SET owner = 'before'");
        await app.DirectAsync(after, "UPDATE tenant_acme.items SET owner = 'after'");
        await using var old = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var oldUnused = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("before", await OwnerAsync(old));

        app.Registry.Set(after);

        await using var young = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("after", await OwnerAsync(young));
        Assert.Equal("before", await OwnerAsync(old));
        Assert.Equal("before", await OwnerAsync(oldUnused));
        Assert.Equal("before", await OwnerAsync(old));
    }

    [Fact]
    public async Task The_old_pool_is_closed_when_its_last_lease_has_ended()
    {
        // The clock stands still: what closes the pool is the end of the lease, not the deadline.
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await context.Items.SingleAsync(Ct);
        var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);

        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        int pid;
        await using (var young = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            pid = await RuntimeApp.PidAsync(young);
        }

        await context.DisposeAsync();
        Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        await connection.DisposeAsync();

        await Eventually.TrueAsync(async () => (await app.BackendsAsync(row)).All(b => b.Pid == pid));
        Assert.Equal(7, app.Connections.GetPoolMetrics(row.Name).Max);
    }

    [Fact]
    public async Task A_forgotten_lease_keeps_the_old_pool_until_the_deadline_and_no_longer()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var forgotten = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await forgotten.Items.SingleAsync(Ct);

        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        time.Advance(TimeSpan.FromSeconds(29));
        await forgotten.Items.AsNoTracking().SingleAsync(Ct);

        time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(() => forgotten.Items.AsNoTracking().SingleAsync(Ct)) is not null
        );
        Assert.All(
            [
                await Record.ExceptionAsync(() => forgotten.Items.AsNoTracking().SingleAsync(Ct)),
                Record.Exception(() => forgotten.Items.AsNoTracking().Single()),
            ],
            late =>
                Assert.Equal(
                    ConnectionUnavailableReason.Replaced,
                    Assert.IsType<ConnectionUnavailableException>(late).Reason
                )
        );
        await Eventually.EqualAsync(1, () => app.CountBackendsAsync(row));
        await forgotten.DisposeAsync();
    }

    [Fact]
    public async Task A_lease_whose_backend_was_killed_does_not_keep_the_old_pool()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await app.KillBackendsAsync(row);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => RuntimeApp.PidAsync(connection));

        await app.Connections.CloseAsync(row.Name).WaitAsync(TimeSpan.FromMinutes(1), Ct);

        await connection.DisposeAsync();
    }

    [Fact]
    public async Task A_data_source_that_was_handed_out_lives_until_the_deadline()
    {
        var time = new FakeTimeProvider();
        await using var app = new RuntimeApp(servers.Postgres, time: time);
        var row = await app.AddDatabaseAsync();
        var old = await app.Connections.GetDataSourceAsync(row.Name, Ct);

        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        Assert.NotSame(old, await app.Connections.GetDataSourceAsync(row.Name, Ct));

        await using (var connection = await old.OpenConnectionAsync(Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        }

        time.Advance(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(async () =>
            await Record.ExceptionAsync(async () =>
            {
                await using var late = await old.OpenConnectionAsync(Ct);
            }) is ObjectDisposedException
        );
    }

    [Fact]
    public async Task Under_load_a_hundred_changes_fail_no_caller()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var reads = 0;
        var workers = Enumerable
            .Range(0, 8)
            .Select(worker =>
                Task.Run(
                    async () =>
                    {
                        while (!stop.IsCancellationRequested)
                        {
                            switch (worker % 3)
                            {
                                case 0:
                                    await using (var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
                                    {
                                        Assert.Equal("acme", await OwnerAsync(context));
                                    }

                                    break;
                                case 1:
                                    await using (
                                        var connection = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct)
                                    )
                                    {
                                        await using var command = new NpgsqlCommand(
                                            "SELECT owner FROM items",
                                            connection
                                        );
                                        Assert.Equal("acme", await command.ExecuteScalarAsync(Ct));
                                    }

                                    break;
                                default:
                                    var source = await app.Connections.GetDataSourceAsync(row.Name, Ct);
                                    await using (var connection = await source.OpenConnectionAsync(Ct))
                                    {
                                        await RuntimeApp.PidAsync(connection);
                                    }

                                    break;
                            }

                            Interlocked.Increment(ref reads);
                        }
                    },
                    Ct
                )
            )
            .ToList();

        for (var i = 0; i < 100; i++)
        {
            var seen = Volatile.Read(ref reads);
            app.Registry.Change(row.Name, known => known with { MaxPoolSize = 20 + i % 5 + 1 });
            await Eventually.TrueAsync(() => Volatile.Read(ref reads) > seen || workers.Any(w => w.IsFaulted));
        }

        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await app.Connections.CloseAllAsync();
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    [Fact]
    public async Task A_changed_password_keeps_the_pool_and_serves_the_next_physical_open()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var template = await app.NewDatabaseAsync();
        var role = RuntimeApp.NewName("role");
        await app.DirectAsync(template, $"CREATE ROLE \"{role}\" LOGIN PASSWORD 'first-password'");
        var row = template with { Username = role, Password = Secret.FromText("first-password") };
        app.Registry.Set(row);
        int pid;
        await using (var connection = await app.Connections.OpenConnectionAsync(row.Name, Ct))
        {
            pid = await RuntimeApp.PidAsync(connection);
        }

        await app.DirectAsync(template, $"ALTER ROLE \"{role}\" PASSWORD 'second-password'");
        app.Registry.Change(row.Name, known => known with { Password = Secret.FromText("second-password") });

        await using var reused = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.Equal(pid, await RuntimeApp.PidAsync(reused));
        await using var opened = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        Assert.NotEqual(pid, await RuntimeApp.PidAsync(opened));
    }

    [Fact]
    public async Task A_row_that_became_unusable_fails_new_leases_and_heals_with_the_row()
    {
        await using var app = new RuntimeApp(servers.Postgres);
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        await using var old = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("acme", await OwnerAsync(old));

        app.Registry.Set(row with { Host = "a,b" });
        await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name, Ct)
        );
        Assert.Equal("acme", await OwnerAsync(old));

        app.Registry.Set(row);
        await using var healed = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        Assert.Equal("acme", await OwnerAsync(healed));
    }

    [Fact]
    public async Task A_row_that_was_switched_off_or_deleted_closes_its_pool_after_the_living_leases()
    {
        await using var app = new RuntimeApp(servers.Postgres, time: new FakeTimeProvider());
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        await using (var living = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct))
        {
            Assert.Equal("acme", await OwnerAsync(living));
            app.Registry.Change(row.Name, known => known with { IsActive = false });
            await Assert.ThrowsAsync<ConnectionUnavailableException>(async () =>
                await app.Contexts.CreateDbContextAsync(tenant.Id, Ct)
            );
            Assert.Equal("acme", await OwnerAsync(living));
        }

        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
        app.Registry.Change(row.Name, known => known with { IsActive = true });
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }

        app.Registry.Remove(row.Name);
        await Assert.ThrowsAsync<ConnectionNotFoundException>(async () =>
            await app.Connections.OpenConnectionAsync(row.Name, Ct)
        );
        await Eventually.EqualAsync(0, () => app.CountBackendsAsync(row));
    }

    private static async Task<string> OwnerAsync(ItemsContext context) =>
        (await context.Items.AsNoTracking().SingleAsync(Ct)).Owner;
}
