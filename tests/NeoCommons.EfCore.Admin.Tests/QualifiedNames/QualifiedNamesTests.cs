using System.Transactions;
using Dapper;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.QualifiedNames;

/// <summary>Each command of EF names the tenant's schema, and needs no session for it.</summary>
public sealed class QualifiedNamesTests(TestServers servers)
{
    private static readonly Func<CatalogContext, string, Task<Item>> CompiledQuery = EF.CompileAsyncQuery(
        (CatalogContext catalog, string name) => catalog.Items.Single(i => i.Name == name)
    );

    private static readonly Dictionary<string, Func<CatalogContext, string, Task>> Reads = new()
    {
        ["LINQ"] = async (c, slug) => Assert.Equal(slug, (await c.Items.SingleAsync(Ct)).Name),
        ["LINQ, synchronous"] = (c, slug) =>
        {
            Assert.Equal(slug, c.Items.Single().Name);
            return Task.CompletedTask;
        },
        ["an owned type"] = async (c, _) => Assert.Equal(1, await c.Items.Select(i => i.Size.Width).SingleAsync(Ct)),
        ["owned tables"] = async (c, slug) =>
            Assert.Equal(slug, Assert.Single((await c.Items.SingleAsync(Ct)).Notes).Text),
        ["many to many"] = async (c, slug) =>
            Assert.Equal(slug, Assert.Single((await c.Items.Include(i => i.Tags).SingleAsync(Ct)).Tags).Name),
        ["a split query"] = async (c, slug) =>
            Assert.Equal(
                slug,
                Assert.Single((await c.Items.Include(i => i.Tags).AsSplitQuery().SingleAsync(Ct)).Tags).Name
            ),
        ["a view"] = async (c, slug) => Assert.Equal(slug, (await c.Totals.SingleAsync(Ct)).Name),
        ["a function"] = async (c, _) =>
            Assert.Equal(2, await c.Items.Select(i => CatalogContext.Doubled(i.Id)).SingleAsync(Ct)),
        ["a table-valued function"] = async (c, slug) =>
            Assert.Equal(slug, (await c.NamedLike("%").SingleAsync(Ct)).Name),
        ["a compiled query"] = async (c, slug) => Assert.Equal(1, (await CompiledQuery(c, slug)).Id),
        ["FromSql"] = async (c, slug) =>
            Assert.Equal(
                slug,
                (await c.Items.FromSql($"""SELECT * FROM "$tenant".items WHERE "Id" = {1}""").SingleAsync(Ct)).Name
            ),
        ["FromSql, composed over"] = async (c, slug) =>
            Assert.Equal(
                [slug],
                await c
                    .Items.FromSqlRaw("SELECT * FROM \"$tenant\".items")
                    .Where(i => i.Id == 1)
                    .Select(i => i.Name)
                    .ToListAsync(Ct)
            ),
        ["SqlQuery"] = async (c, slug) =>
            Assert.Equal(
                slug,
                await c.Database.SqlQuery<string>($"""SELECT "Name" AS "Value" FROM "$tenant".items""").SingleAsync(Ct)
            ),
        ["a sequence"] = async (c, _) =>
        {
            var sequence = c.Database.GetTenantSchema().Quoted + ".\"ItemNumbers\"";
            var taken = await c
                .Database.SqlQuery<long>($"SELECT nextval({sequence}::regclass) AS \"Value\"")
                .SingleAsync(Ct);
            Assert.InRange(taken, 102, 199);
        },
        ["Dapper"] = async (c, slug) =>
            Assert.Equal(
                slug,
                await c
                    .Database.GetDbConnection()
                    .QuerySingleAsync<string>(c.Database.ToTenantSql("SELECT \"Name\" FROM \"$tenant\".items"))
            ),
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, SessionReset.Always)]
    [InlineData(false, SessionReset.WhenUsed)]
    [InlineData(true, SessionReset.Always)]
    public async Task Every_kind_of_query_reads_the_tenants_own(bool pooled, SessionReset reset)
    {
        await using var app = await StartAsync(pooled, reset);
        foreach (var (kind, read) in Reads)
        {
            foreach (var slug in new[] { "acme", "globex", "acme" })
            {
                await using var catalog = await app.Catalog.CreateDbContextAsync(slug, Ct);
                try
                {
                    await read(catalog, slug);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    throw new InvalidOperationException($"{kind} of {slug}: {e.Message}", e);
                }
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_kind_of_write_is_the_tenants_own(bool pooled)
    {
        await using var app = await StartAsync(pooled);
        foreach (var slug in new[] { "acme", "globex" })
        {
            await using var catalog = await app.Catalog.CreateDbContextAsync(slug, Ct);
            var item = new Item
            {
                Name = $"{slug} new",
                Size = new Size { Width = 2 },
                Notes = { new Note { Text = slug } },
                Tags = { new Tag { Name = slug } },
            };
            catalog.Add(item);
            await catalog.SaveChangesAsync(Ct);
            Assert.Equal(102, item.Id);
            item.Name += "er";
            catalog.Add(
                new Item
                {
                    Name = slug,
                    Size = new Size { Width = 3 },
                }
            );
            catalog.SaveChanges();
            await using (var transaction = await catalog.Database.BeginTransactionAsync(Ct))
            {
                Assert.Equal(
                    1,
                    await catalog
                        .Items.Where(i => i.Id == 1)
                        .ExecuteUpdateAsync(set => set.SetProperty(i => i.Name, slug + " updated"), Ct)
                );
                Assert.Equal(1, await catalog.Items.Where(i => i.Id == 103).ExecuteDeleteAsync(Ct));
                Assert.Equal(
                    1,
                    await catalog.Database.ExecuteSqlAsync(
                        $"""INSERT INTO "$tenant".tags ("Name") OVERRIDING SYSTEM VALUE VALUES ({slug})""",
                        Ct
                    )
                );
                await transaction.CommitAsync(Ct);
            }

            catalog.Remove(item);
            await catalog.SaveChangesAsync(Ct);
            Assert.Equal($"{slug} updated", await DirectAsync(app, $"SELECT \"Name\" FROM tenant_{slug}.items"));
            Assert.Equal(
                $"{slug},{slug},{slug}",
                await DirectAsync(app, $"SELECT string_agg(\"Name\", ',') FROM tenant_{slug}.tags")
            );
        }

        Assert.Equal("public", await DirectAsync(app, "SELECT string_agg(\"Name\", ',') FROM public.items"));
        Assert.Equal("public", await DirectAsync(app, "SELECT string_agg(\"Name\", ',') FROM public.tags"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_unqualified_name_finds_nothing(bool pooled)
    {
        await using var app = await StartAsync(pooled);
        await using var acme = await app.Catalog.CreateDbContextAsync("acme", Ct);

        await AssertNotFoundAsync(() => acme.Database.ExecuteSqlRawAsync("DELETE FROM item_notes", Ct));
        await AssertNotFoundAsync(() => acme.Items.FromSqlRaw("SELECT * FROM items").ToListAsync(Ct));
        await AssertNotFoundAsync(() =>
            acme.Database.SqlQueryRaw<string>("SELECT \"Name\" AS \"Value\" FROM items").ToListAsync(Ct)
        );
        await AssertNotFoundAsync(() => acme.Database.GetDbConnection().QueryAsync("SELECT * FROM items"));
        await using var raw = await app.App.Databases.OpenConnectionAsync("db1", Ct);
        await AssertNotFoundAsync(() => raw.QueryAsync("SELECT * FROM items"));
        Assert.Equal(1L, await DirectAsync(app, "SELECT count(*) FROM public.item_notes"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Data_that_looks_like_the_placeholder_is_left_alone(bool pooled)
    {
        const string Data = "\"$tenant\".items -- '' \"$tenant\". /* $$ E'\\' \"$tenant\".x";
        await using var app = await StartAsync(pooled);
        await using var acme = await app.Catalog.CreateDbContextAsync("acme", Ct);
        acme.Add(new Tag { Name = Data });
        await acme.SaveChangesAsync(Ct);

        Assert.Equal(1, await acme.Tags.CountAsync(t => t.Name == EF.Constant(Data), Ct));
        Assert.Equal(1, await acme.Tags.TagWith(Data).CountAsync(t => t.Name == Data, Ct));
        Assert.Equal(Data, await acme.Items.Select(_ => Data).FirstAsync(Ct));
        Assert.Equal(
            "\"$tenant\".x",
            await acme.Database.SqlQueryRaw<string>("SELECT '\"$tenant\".x' AS \"Value\"").SingleAsync(Ct)
        );
        Assert.Equal(
            Data,
            await DirectAsync(
                app,
                "SELECT \"Name\" FROM tenant_acme.tags WHERE \"Id\" = (SELECT max(\"Id\") FROM tenant_acme.tags WHERE \"Name\" <> 'acme')"
            )
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_read_only_context_writes_nothing_by_any_way(bool pooled)
    {
        await using var app = await StartAsync(pooled);
        var acme = await app.TenantAsync("acme");
        await using var reader = await app.Catalog.CreateReadOnlyDbContextAsync(acme.Id, Ct);

        Assert.Equal("acme", (await reader.Items.SingleAsync(Ct)).Name);
        reader.Add(new Tag { Name = "new" });
        await Assert.ThrowsAsync<InvalidOperationException>(() => reader.SaveChangesAsync(Ct));
        reader.ChangeTracker.Clear();
        await AssertReadOnlyAsync(() => reader.Tags.ExecuteDeleteAsync(Ct));
        await AssertReadOnlyAsync(() =>
            reader.Tags.ExecuteUpdateAsync(set => set.SetProperty(t => t.Name, "changed"), Ct)
        );
        await AssertReadOnlyAsync(() => reader.Database.ExecuteSqlRawAsync("DELETE FROM \"$tenant\".item_notes", Ct));
        await using (await reader.Database.BeginTransactionAsync(Ct))
        {
            await AssertReadOnlyAsync(() => reader.Tags.ExecuteDeleteAsync(Ct));
        }

        // The next one may write again, on the same connection.
        await using var writer = await app.Catalog.CreateDbContextAsync("acme", Ct);
        Assert.Equal(1, await writer.Database.ExecuteSqlRawAsync("DELETE FROM \"$tenant\".item_notes", Ct));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tenants_share_a_TransactionScope(bool pooled)
    {
        await using var app = await StartAsync(pooled);
        using (var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            foreach (var slug in new[] { "acme", "globex", "acme" })
            {
                await using var catalog = await app.Catalog.CreateDbContextAsync(slug, Ct);
                Assert.Contains(slug, (await catalog.Items.SingleAsync(Ct)).Name);
                await catalog.Items.ExecuteUpdateAsync(set => set.SetProperty(i => i.Name, i => i.Name + "!"), Ct);
            }

            scope.Complete();
        }

        Assert.Equal("acme!!", await DirectAsync(app, "SELECT \"Name\" FROM tenant_acme.items"));
        Assert.Equal("globex!", await DirectAsync(app, "SELECT \"Name\" FROM tenant_globex.items"));
        Assert.Equal("public", await DirectAsync(app, "SELECT \"Name\" FROM public.items"));
    }

    [Fact]
    public async Task A_compiled_model_serves()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b =>
                b.AddTenantDbContext<CatalogContext>(o =>
                    o.UseModel(Compiled.CatalogContextModel.Instance).UseSchemaBinding(SchemaBinding.QualifiedNames)
                )
        );
        foreach (var slug in new[] { "acme", "globex" })
        {
            await app.CreateTenantAsync(slug);
            await using var catalog = await app.Get<ITenantDbContextFactory<CatalogContext>>()
                .CreateDbContextAsync(slug, Ct);
            catalog.Add(new Tag { Name = slug });
            await catalog.SaveChangesAsync(Ct);
            Assert.Equal(slug, (await catalog.Tags.AsNoTracking().SingleAsync(Ct)).Name);
        }

        Assert.Equal(
            "globex",
            await app.DirectAsync("db1", "SELECT string_agg(\"Name\", ',') FROM tenant_globex.tags")
        );
    }

    [Fact]
    public async Task A_compiled_model_of_the_other_binding_is_refused()
    {
        await using var app = await TestApp.StartAsync(
            servers.Postgres,
            configure: b => b.AddTenantDbContext<CatalogContext>(o => o.UseModel(Compiled.CatalogContextModel.Instance))
        );
        await app.CreateTenantAsync("acme");

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
            await app.Get<ITenantDbContextFactory<CatalogContext>>().CreateDbContextAsync("acme", Ct)
        );
        Assert.Contains("dbcontext optimize", refused.Message);
    }

    [Fact]
    public async Task A_thousand_tenants_share_one_model()
    {
        await using var app = await StartAsync(pooled: false);
        await using (await app.Catalog.CreateDbContextAsync("acme", Ct)) { }

        var before = CatalogContext.ModelsBuilt;
        var text = await DirectAsync(
            app,
            "SELECT string_agg(format('CREATE SCHEMA t%s; CREATE TABLE t%s.items AS SELECT %s::bigint AS \"Id\", ''t%s'' AS \"Name\", 1 AS \"Size_Width\"', n, n, n, n), '; ') FROM generate_series(1, 20) n"
        );
        await DirectAsync(app, (string)text!);
        await app.App.AdminAsync(
            "INSERT INTO admin.tenants (id, slug, name, schema_name, connection_id, status) SELECT gen_random_uuid(), 't' || n, 't', 't' || n, (SELECT connection_id FROM admin.tenants LIMIT 1), 'active' FROM generate_series(1, 1000) n"
        );
        for (var n = 1; n <= 1_000; n++)
        {
            await using var catalog = await app.Catalog.CreateDbContextAsync($"t{n}", Ct);
            _ = catalog.Model;
            if (n <= 20)
            {
                Assert.Equal($"t{n}", await catalog.Items.Select(i => i.Name).SingleAsync(Ct));
            }
        }

        Assert.Equal(before, CatalogContext.ModelsBuilt);
    }

    private static async Task AssertNotFoundAsync(Func<Task> action) =>
        Assert.Equal(PostgresErrorCodes.UndefinedTable, (await Assert.ThrowsAsync<PostgresException>(action)).SqlState);

    private static async Task AssertReadOnlyAsync(Func<Task> action) =>
        Assert.Equal(
            PostgresErrorCodes.ReadOnlySqlTransaction,
            (await Assert.ThrowsAsync<PostgresException>(action)).SqlState
        );

    private static Task<object?> DirectAsync(CatalogApp app, string sql) => app.App.DirectAsync("db1", sql);

    private Task<CatalogApp> StartAsync(bool pooled, SessionReset reset = SessionReset.Always) =>
        CatalogApp.StartAsync(
            servers.Postgres,
            pooled,
            new Dictionary<string, string?> { ["NeoCommons:Connections:SessionReset"] = reset.ToString() }
        );
}
