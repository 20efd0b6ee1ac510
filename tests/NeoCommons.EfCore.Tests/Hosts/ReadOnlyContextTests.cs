using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Contexts that only read do so at the standby, as their tenant and as nobody else; all others are at the primary.</summary>
public sealed class ReadOnlyContextTests(Pair pair) : IClassFixture<Pair>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task They_read_at_the_standby_and_others_at_the_primary(bool async)
    {
        await using var app = pair.NewApp();
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();

        await OnStandbyAsync(app, tenant, async);
        await using var writer = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);

        Assert.False(await IsStandbyAsync(writer, async));
        writer.Items.Add(new Item { Id = 2, Owner = "acme" });
        Assert.Equal(1, async ? await writer.SaveChangesAsync(Ct) : writer.SaveChanges());
    }

    [Fact]
    public async Task Raw_connections_are_the_primarys()
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var tenant = await app.AddTenantAsync(row, "acme");

        await using var plain = await app.Connections.OpenConnectionAsync(row.Name, Ct);
        await using var tenants = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        var source = await app.Connections.GetDataSourceAsync(row.Name, Ct);
        await using var own = await source.OpenConnectionAsync(Ct);

        foreach (var connection in new[] { plain, tenants, own })
        {
            Assert.Equal(pair.Primary.Port, connection.Port);
        }
    }

    [Fact]
    public async Task Nothing_is_tracked_and_context_and_session_refuse_to_write()
    {
        await using var app = pair.NewApp();
        var tenant = await app.AddTenantAsync(await pair.AddAsync(app), "acme");
        await pair.CatchUpAsync();
        await OnStandbyAsync(app, tenant);

        await AssertReadsOnlyAsync(app, tenant, isStandby: true);
    }

    [Fact]
    public async Task One_that_is_made_by_the_tenant_s_name_in_the_address_only_reads_too()
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        var (acme, globex) = (await app.AddTenantAsync(row, "acme"), await app.AddTenantAsync(row, "globex"));
        await pair.CatchUpAsync();
        await OnStandbyAsync(app, acme);

        foreach (var tenant in new[] { acme, globex, acme })
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Slug, Ct);
            Assert.Equal(tenant.Slug, Assert.Single(await reader.Items.ToListAsync(Ct)).Owner);
            Assert.True(await IsStandbyAsync(reader));
            reader.Items.Add(new Item { Id = 3, Owner = tenant.Slug });
            await Assert.ThrowsAsync<InvalidOperationException>(() => reader.SaveChangesAsync(Ct));
            var refused = await Assert.ThrowsAsync<PostgresException>(() =>
                reader.Database.ExecuteSqlRawAsync("DELETE FROM items", Ct)
            );
            Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, refused.SqlState);
        }

        foreach (var unknown in new[] { "initech", "" })
        {
            await Assert.ThrowsAsync<TenantNotFoundException>(async () =>
                await app.Contexts.CreateReadOnlyDbContextAsync(unknown, Ct)
            );
        }
    }

    [Fact]
    public async Task Two_standbys_share_the_reads_and_the_primary_has_none_of_them()
    {
        await using var second = await pair.Primary.StartStandbyAsync(Ct);
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(
            app,
            r => r with { ReplicaHosts = ReplicaHosts.Parse($"{r.ReplicaHosts},{second.Host}:{second.Port}") }
        );
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await pair.CatchUpAsync(second);
        await OnStandbyAsync(app, tenant);
        var guard = (await app.AcquireAsync(row.Name)).Hosts!.Guard;
        await Eventually.TrueAsync(() => guard.States[1].Refusal is null && guard.States[2].Refusal is null);

        // The driver may remember for a second that one of them was refused.
        await Task.Delay(HostWatch.Interval * 1.5, Ct);
        var ports = new List<int>();
        for (var i = 0; i < 40; i++)
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            ports.Add(await reader.Database.SqlQueryRaw<int>("SELECT inet_server_port() AS \"Value\"").SingleAsync(Ct));
        }

        // In turn over all hosts: what would be the primary's falls to whoever is next in the row.
        var reads = ports.CountBy(port => port).ToDictionary();
        Assert.DoesNotContain(pair.Primary.Port, reads);
        Assert.All(new[] { pair.Standby, second }, s => Assert.InRange(reads.GetValueOrDefault(s.Port), 10, 30));
    }

    internal static async Task AssertReadsOnlyAsync(RuntimeApp app, Tenant tenant, bool isStandby, int rows = 1)
    {
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        Assert.Equal(isStandby, await IsStandbyAsync(reader));
        Assert.Equal(rows, (await reader.Items.ToListAsync(Ct)).Count(i => i.Owner == "acme"));
        Assert.Empty(reader.ChangeTracker.Entries());
        reader.Items.Add(new Item { Id = 3, Owner = "acme" });
        await Assert.ThrowsAsync<InvalidOperationException>(() => reader.SaveChangesAsync(Ct));
        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            reader.Database.ExecuteSqlRawAsync("DELETE FROM items", Ct)
        );
        Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, refused.SqlState);
    }

    /// <summary>Waits until read-only contexts read at the standby.</summary>
    internal static Task OnStandbyAsync(RuntimeApp app, Tenant tenant, bool async = true) =>
        Eventually.TrueAsync(() => IsOnStandbyAsync(app, tenant, async));

    internal static async Task<bool> IsOnStandbyAsync(RuntimeApp app, Tenant tenant, bool async = true)
    {
        await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
        return await IsStandbyAsync(reader, async);
    }

    internal static async Task<bool> IsStandbyAsync(DbContext context, bool async = true)
    {
        var query = context.Database.SqlQueryRaw<bool>("SELECT pg_is_in_recovery() AS \"Value\"");
        return async ? await query.SingleAsync(Ct) : query.Single();
    }
}
