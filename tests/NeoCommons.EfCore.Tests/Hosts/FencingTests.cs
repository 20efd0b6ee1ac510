using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>A primary that was replaced comes back, not told of it and listed first, and gets no write and no read.</summary>
public sealed class FencingTests
{
    private const int Writes = 60;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_wrote_to_the_new_primary_goes_on_there()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await WriteAsync(app, tenant, 100);
        await ReplaceAsync(pair);
        await Eventually.TrueAsync(() => TryWriteAsync(app, tenant, 200));

        await pair.Primary.StartAgainAsync(Ct);
        await WriteOnAsync(app, tenant);

        Assert.Equal(0, await CountAsync(pair.Primary, row));
        Assert.Equal(Writes, await CountAsync(pair.Standby, row));
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        Assert.Equal(Writes, await reader.Items.CountAsync(i => i.Id >= 1000, Ct));
    }

    [Fact]
    public async Task A_process_that_starts_while_both_are_primaries_writes_to_the_new_one()
    {
        await using var pair = await Pair.StartAsync();
        await using var first = pair.NewApp();
        var row = await pair.AddAsync(first);
        var tenant = await first.AddTenantAsync(row, "acme");
        await ReplaceAsync(pair);
        await pair.Primary.StartAgainAsync(Ct);

        await using var app = pair.NewApp();
        app.Registry.Set(row);
        app.Tenants.Set(tenant);
        await WriteOnAsync(app, tenant);

        Assert.Equal(0, await CountAsync(pair.Primary, row));
        Assert.Equal(Writes, await CountAsync(pair.Standby, row));
    }

    [Fact]
    public async Task A_tenant_that_would_be_kept_apart_from_a_pool_of_one_host_writes_to_the_new_one()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await ReplaceAsync(pair);
        await pair.Primary.StartAgainAsync(Ct);
        var source = await app.AcquireAsync(row.Name);
        source.Tenants.Enter(tenant, source.Row).BrokeAt = TimeProvider.System.GetTimestamp();

        await Eventually.TrueAsync(() => TryWriteAsync(app, tenant, 1000));

        Assert.Equal(0, await CountAsync(pair.Primary, row));
        Assert.Equal(1, await CountAsync(pair.Standby, row));
    }

    [Fact]
    public async Task A_row_that_does_not_name_the_new_primary_knows_of_it_by_one_that_does()
    {
        await using var pair = await Pair.StartAsync();
        await using var third = await pair.Primary.StartStandbyAsync(Ct);
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        var other = row with
        {
            Name = RuntimeApp.NewName(),
            ReplicaHosts = ReplicaHosts.Parse($"{third.Host}:{third.Port}"),
        };
        app.Registry.Set(other);
        var moved = tenant with { Id = new TenantId(Guid.NewGuid()), Slug = "moved", ConnectionName = other.Name };
        app.Tenants.Set(moved);
        await WriteAsync(app, tenant, 100);
        await WriteAsync(app, moved, 101);
        await pair.CatchUpAsync();

        await pair.Standby.PromoteAsync(Ct);
        var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
        await Eventually.TrueAsync(() => guard.States[0].Refusal is not null);

        for (var id = 1000; id < 1020; id++)
        {
            Assert.False(await TryWriteAsync(app, moved, id));
        }

        Assert.Equal(0, await CountAsync(pair.Primary, row));
    }

    [Fact]
    public async Task A_promoted_copy_that_is_another_connections_replaces_nobody()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await WriteAsync(app, tenant, 100);
        await pair.CatchUpAsync();
        await using var copy = await pair.Primary.StartStandbyAsync(Ct);
        await pair.CatchUpAsync(copy);
        await copy.PromoteAsync(Ct);
        var split = row with
        {
            Name = RuntimeApp.NewName(),
            Host = copy.Host,
            Port = copy.Port,
            ReplicaHosts = ReplicaHosts.Parse($"localhost:{copy.Port}"),
        };
        app.Registry.Set(split);
        var moved = tenant with { Id = new TenantId(Guid.NewGuid()), Slug = "moved", ConnectionName = split.Name };
        app.Tenants.Set(moved);
        await Eventually.TrueAsync(() => TryWriteAsync(app, moved, 200));

        // Both at once: the copy has the same system identifier, and a newer timeline.
        for (var id = 1000; id < 1000 + Writes; id++)
        {
            await WriteAsync(app, tenant, id);
            await WriteAsync(app, moved, id);
            await Task.Delay(50, Ct);
        }

        Assert.Equal(Writes, await CountAsync(pair.Primary, row));
        Assert.Equal(Writes, await CountAsync(copy, row));
    }

    [Fact]
    public async Task A_pool_that_the_row_replaced_knows_what_the_one_before_has_seen()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");
        await WriteAsync(app, tenant, 100);
        await ReplaceAsync(pair);
        await Eventually.TrueAsync(() => TryWriteAsync(app, tenant, 200));

        // The new primary cannot be reached when the old one is back, and the pool is a new one.
        await pair.Standby.StopAsync(ct: Ct);
        await pair.Primary.StartAgainAsync(Ct);
        app.Registry.Change(row.Name, known => known with { MaxPoolSize = 7 });
        Exception? refused = await Assert.ThrowsAnyAsync<Exception>(() => WriteAsync(app, tenant, 1000));
        while (refused is not null and not ConnectionUnavailableException)
        {
            refused = refused.InnerException;
        }

        var unavailable = Assert.IsType<ConnectionUnavailableException>(refused);
        Assert.Equal(ConnectionUnavailableReason.NoHost, unavailable.Reason);
        Assert.Contains("replaced", unavailable.Message, StringComparison.Ordinal);
        Assert.Equal(0, await CountAsync(pair.Primary, row));

        await pair.Standby.StartAgainAsync(Ct);
        await Eventually.TrueAsync(() => TryWriteAsync(app, tenant, 1000));
        Assert.Equal(1, await CountAsync(pair.Standby, row));
    }

    [Fact]
    public async Task Sessions_that_were_opened_before_an_old_primary_was_replaced_alive_write_nothing_there_afterwards()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { PrePing = false });
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        var sessions = await OpenAsync(app, row, 6);
        await CloseAsync(sessions[..3]);

        await pair.Standby.PromoteAsync(Ct);
        var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
        await Eventually.TrueAsync(() => guard.States[0].Refusal is not null);

        // Some lay in the pool while it was noticed, and others come back to it now.
        await CloseAsync(sessions[3..]);
        await WriteBothWaysAsync(app, tenant);

        Assert.Equal(0, await CountAsync(pair.Primary, row));
        Assert.Equal(Writes, await CountAsync(pair.Standby, row));
    }

    [Fact]
    public async Task A_pooled_session_is_refused_before_its_own_pool_has_looked_again()
    {
        await using var pair = await Pair.StartAsync();

        // No pool looks twice.
        await using var app = pair.NewApp(time: new FakeTimeProvider());
        var row = await pair.AddAsync(app, r => r with { PrePing = false });
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await CloseAsync(await OpenAsync(app, row, 4));
        await pair.Standby.PromoteAsync(Ct);

        // The process learns of it by another row.
        var other = row with
        {
            Name = RuntimeApp.NewName(),
        };
        app.Registry.Set(other);
        await CloseAsync(await OpenAsync(app, other, 1, pair.Standby));
        Assert.Null((await app.AcquireAsync(row.Name)).Hosts!.Guard.States[0].Refusal);
        await WriteBothWaysAsync(app, tenant);

        Assert.Equal(0, await CountAsync(pair.Primary, row));
        Assert.Equal(Writes, await CountAsync(pair.Standby, row));
    }

    [Fact]
    public async Task The_driver_alone_would_go_back_to_the_old_one()
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        await app.AddTenantAsync(row, "acme");
        await ReplaceAsync(pair);
        await pair.Primary.StartAgainAsync(Ct);
        var settings = new NpgsqlConnectionStringBuilder(pair.Primary.GetConnectionString(row.Database))
        {
            Host = $"{pair.Primary.Host}:{pair.Primary.Port},{pair.Standby.Host}:{pair.Standby.Port}",
            HostRecheckSeconds = 1,
        };
        await using var driver = new NpgsqlDataSourceBuilder(settings.ConnectionString).BuildMultiHost();

        await using (var connection = await driver.OpenConnectionAsync(TargetSessionAttributes.ReadWrite, Ct))
        await using (var command = new NpgsqlCommand("INSERT INTO tenant_acme.items VALUES (1000, 'acme')", connection))
        {
            await command.ExecuteNonQueryAsync(Ct);
        }

        Assert.Equal(1, await CountAsync(pair.Primary, row));
    }

    // As when its machine dies: it is not told that it was replaced.
    private static async Task ReplaceAsync(Pair pair)
    {
        await pair.CatchUpAsync();
        await pair.Primary.StopAsync(immediate: true, Ct);
        await pair.Standby.PromoteAsync(Ct);
    }

    // For several rechecks of the driver, whose last result would have let the old primary in.
    private static async Task WriteOnAsync(RuntimeApp app, Tenant tenant)
    {
        for (var id = 1000; id < 1000 + Writes; id++)
        {
            await WriteAsync(app, tenant, id);
            await Task.Delay(75, Ct);
        }
    }

    private static async Task<NpgsqlConnection[]> OpenAsync(
        RuntimeApp app,
        DatabaseConnection row,
        int count,
        PostgresServer? server = null
    )
    {
        var opened = new List<NpgsqlConnection>();
        for (var i = 0; i < count; i++)
        {
            opened.Add(await app.Connections.OpenConnectionAsync(row.Name, Ct));
        }

        Assert.All(opened, c => Assert.Equal(server?.Port ?? row.Port, c.Port));
        return [.. opened];
    }

    private static async Task CloseAsync(IEnumerable<NpgsqlConnection> sessions)
    {
        foreach (var session in sessions)
        {
            await session.DisposeAsync();
        }
    }

    // By contexts and by raw connections.
    private static async Task WriteBothWaysAsync(RuntimeApp app, Tenant tenant)
    {
        for (var id = 1000; id < 1000 + Writes; id += 2)
        {
            await WriteAsync(app, tenant, id);
            await using var raw = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
            await using var command = new NpgsqlCommand($"INSERT INTO items VALUES ({id + 1}, 'acme')", raw);
            await command.ExecuteNonQueryAsync(Ct);
        }
    }

    private static async Task WriteAsync(RuntimeApp app, Tenant tenant, int id)
    {
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        context.Items.Add(new Item { Id = id, Owner = tenant.Slug });
        await context.SaveChangesAsync(Ct);
    }

    private static async Task<bool> TryWriteAsync(RuntimeApp app, Tenant tenant, int id) =>
        await Record.ExceptionAsync(() => WriteAsync(app, tenant, id)) is null;

    private static async Task<int> CountAsync(PostgresServer server, DatabaseConnection row) =>
        (int)
            (long)
                (
                    await Pair.ScalarAsync(
                        server,
                        row.Database,
                        "SELECT count(*) FROM tenant_acme.items WHERE id >= 1000"
                    )
                )!;
}
