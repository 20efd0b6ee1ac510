using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin.Tests.QualifiedNames;

/// <summary>Hot tenants keep their plans, and a backend's memory stays bounded.</summary>
public sealed class PreparedStatementTests(TestServers servers)
{
    private const int Budget = 4;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SessionReset.Always)]
    [InlineData(SessionReset.WhenUsed)]
    public async Task A_connection_keeps_as_many_as_it_may_and_those_that_are_used(SessionReset reset)
    {
        await using var app = await StartAsync(pooled: false, reset);
        for (var round = 0; round < 10; round++)
        {
            foreach (var slug in new[] { "acme", "globex" })
            {
                await using var catalog = await app.Catalog.CreateDbContextAsync(slug, Ct);
                Assert.Equal(slug, (await catalog.Totals.SingleAsync(Ct)).Name);
                Assert.Contains(slug, (await catalog.Tags.FirstAsync(Ct)).Name);
                _ = await catalog.Tags.CountAsync(Ct);
                _ = await catalog.Items.Select(i => i.Name).MaxAsync(Ct);
            }
        }

        await using var acme = await app.Catalog.CreateDbContextAsync("acme", Ct);
        for (var i = 0; i < 10; i++)
        {
            _ = await acme.Tags.CountAsync(Ct);
        }

        var prepared = await acme
            .Database.SqlQuery<string>($"SELECT statement AS \"Value\" FROM pg_prepared_statements")
            .ToListAsync(Ct);
        Assert.InRange(prepared.Count, 1, Budget);
        Assert.Contains(prepared, sql => sql.Contains("count(*)") && sql.Contains("\"tenant_acme\".tags"));
    }

    [Theory]
    [InlineData(1, 150)]
    [InlineData(5, 0)]
    public async Task Of_many_tenants_who_take_turns_all_are_prepared_at_the_first_use_and_none_at_the_fifth(
        int uses,
        int expected
    )
    {
        const int Statements = 150;
        await using var app = await StartAsync(
            pooled: false,
            SessionReset.WhenUsed,
            new()
            {
                ["NeoCommons:Connections:MaxPreparedStatements"] = "1000",
                ["NeoCommons:Connections:PrepareAfterUses"] = $"{uses}",
            }
        );
        for (var round = 0; round < 6; round++)
        {
            for (var i = 0; i < Statements; i++)
            {
                // Other statements stand for other tenants: to the driver each is one.
                await using var acme = await app.Catalog.CreateDbContextAsync("acme", Ct);
                _ = await acme.Tags.Take(i + 1).TagWith($"tenant {i}").CountAsync(Ct);
            }
        }

        await using var catalog = await app.Catalog.CreateDbContextAsync("acme", Ct);
        Assert.Equal(
            expected,
            await catalog
                .Database.SqlQuery<int>(
                    $"SELECT count(*)::int AS \"Value\" FROM pg_prepared_statements WHERE statement LIKE '-- tenant %'"
                )
                .SingleAsync(Ct)
        );
    }

    [Fact]
    public async Task Behind_a_transaction_pooler_nothing_is_prepared()
    {
        await using var app = await StartAsync(pooled: true, SessionReset.Always);
        await using var acme = await app.Catalog.CreateDbContextAsync("acme", Ct);
        for (var i = 0; i < 10; i++)
        {
            _ = await acme.Tags.CountAsync(Ct);
        }

        await using var command = new Npgsql.NpgsqlCommand("SELECT count(*) FROM pg_prepared_statements");
        Assert.Equal(
            0,
            await acme
                .Database.SqlQuery<int>($"SELECT count(*)::int AS \"Value\" FROM pg_prepared_statements")
                .SingleAsync(Ct)
        );
    }

    private async Task<CatalogApp> StartAsync(
        bool pooled,
        SessionReset reset,
        Dictionary<string, string?>? settings = null
    )
    {
        var app = await CatalogApp.StartAsync(
            servers.Postgres,
            pooled,
            new Dictionary<string, string?>(settings ?? [])
            {
                ["NeoCommons:Connections:SessionReset"] = reset.ToString(),
                ["NeoCommons:Connections:MaxPreparedStatements"] =
                    settings?["NeoCommons:Connections:MaxPreparedStatements"] ?? $"{Budget}",
            }
        );
        await app.App.AdminAsync("UPDATE admin.database_connections SET pool_max_size = 1, pool_min_size = 0");
        await app.App.ReloadAsync();
        return app;
    }
}
