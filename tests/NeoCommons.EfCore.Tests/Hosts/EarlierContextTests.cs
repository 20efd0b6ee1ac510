using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>What was made before its row had replica hosts goes on in the old pool, and what it writes is not missed in the new one.</summary>
public sealed class EarlierContextTests(Pair pair) : IClassFixture<Pair>, IAsyncLifetime
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync() => await OnStandbyAsync("SELECT pg_wal_replay_resume()");

    [Theory]
    [InlineData("context")]
    [InlineData("open context")]
    [InlineData("connection")]
    public async Task What_it_has_written_is_read(string how)
    {
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app, r => r with { ReplicaHosts = ReplicaHosts.None });
        var tenant = await app.AddTenantAsync(row, "acme");
        await pair.CatchUpAsync();
        await using var context = await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
        await using var raw = await app.Connections.OpenTenantConnectionAsync(tenant.Id, Ct);
        if (how == "open context")
        {
            await context.Database.OpenConnectionAsync(Ct);
        }

        app.Registry.Change(
            row.Name,
            r => r with { ReplicaHosts = ReplicaHosts.Parse($"{pair.Standby.Host}:{pair.Standby.Port}") }
        );
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
        await OnStandbyAsync("SELECT pg_wal_replay_pause()");

        if (how == "connection")
        {
            await using var command = new NpgsqlCommand("UPDATE items SET owner = 'written'", raw);
            await command.ExecuteNonQueryAsync(Ct);
            await raw.CloseAsync();
        }
        else
        {
            await context.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Owner, "written"), Ct);
        }

        for (var i = 0; i < 10; i++)
        {
            await using var reader = await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct);
            Assert.Equal("written", (await reader.Items.SingleAsync(Ct)).Owner);
            await Task.Delay(100, Ct);
        }

        await context.DisposeAsync();
        await OnStandbyAsync("SELECT pg_wal_replay_resume()");
        await ReadOnlyContextTests.OnStandbyAsync(app, tenant);
    }

    private Task<object?> OnStandbyAsync(string sql) => Pair.ScalarAsync(pair.Standby, "postgres", sql);
}
