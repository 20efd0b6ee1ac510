using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;
using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Everything that can be done to tenants, done to the same few at once.</summary>
public sealed class LifecycleTurmoilTests(TestServers servers)
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(
        int.Parse(
            Environment.GetEnvironmentVariable("NEO_LIFECYCLE_SECONDS") ?? "4",
            System.Globalization.CultureInfo.InvariantCulture
        )
    );

    private const string Regress = """
        DO $$ DECLARE s text; BEGIN
            FOR s IN SELECT nspname FROM pg_namespace WHERE nspname ~ '^(tenant|archived)_' LOOP
                IF pg_try_advisory_xact_lock(hashtextextended('neocommons.migrate:' || s, 0)) THEN
                    EXECUTE format('DROP TABLE IF EXISTS %I.later', s);
                    EXECUTE format('DELETE FROM %I."__EFMigrationsHistory" WHERE "MigrationId" = $m$20260103000000_Later$m$', s);
                END IF;
            END LOOP;
        EXCEPTION WHEN invalid_schema_name OR undefined_table OR deadlock_detected OR internal_error THEN END $$
        """;

    // A context that is open while its schema is renamed or dropped finds no tables any more.
    private static bool IsAnswer(Exception e, string to) =>
        e is TenantStateException or TenantConflictException or TenantNotFoundException or TenantUnavailableException
        || (to == "delete" && e is ArgumentException)
        || (to == "use" && e.GetBaseException() is PostgresException { SqlState: PostgresErrorCodes.UndefinedTable });

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("in the admin database")]
    [InlineData("elsewhere")]
    [InlineData("with roles")]
    [InlineData("behind a transaction pooler")]
    public async Task Whatever_meets_a_tenant_reads_its_own_rows_only_and_stands_where_the_registry_says(string home)
    {
        var isPooled = home.EndsWith("pooler", StringComparison.Ordinal);
        var binding = isPooled ? SchemaBinding.QualifiedNames : SchemaBinding.SearchPath;
        await using var pooler = isPooled
            ? await PgBouncerServer.StartAsync(
                servers.Postgres,
                new() { Settings = { ["default_pool_size"] = "12" } },
                Ct
            )
            : null;
        await using var app = await Homes.StartAsync(
            servers,
            home == "in the admin database",
            b =>
                b.AddTenantDbContext<ShopDbContext>(o => o.UseSchemaBinding(binding))
                    .AddTenantDbContext<TolerantContext>(o => o.UseSchemaBinding(binding)),
            new Dictionary<string, string?>
            {
                ["NeoCommons:WarmPool:Size"] = "2",
                ["NeoCommons:WarmPool:RefillInterval"] = "00:00:01",
                ["NeoCommons:Connections:TenantRoles"] = home == "with roles" ? "true" : "false",
            }
        );
        if (pooler is not null)
        {
            await app.DirectAsync(
                "home",
                "DO $$ BEGIN EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET search_path = neocommons_no_tenant', current_database()); END $$"
            );
            await app.AdminAsync(
                $"UPDATE admin.database_connections SET pooler = 'transaction', host = '{pooler.Host}', port = {pooler.Port}"
            );
            await app.ReloadAsync();
        }

        string[] slugs = ["ant", "bee", "cat"];
        var faults = new ConcurrentQueue<string>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        stop.CancelAfter(Duration);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(n => Task.Run(() => ActAsync(new Random(n)), Ct)));

        Assert.Empty(faults);
        await app.ReloadAsync();
        await using var db = await app.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(Ct);
        foreach (var row in await db.Tenants.ToListAsync(Ct))
        {
            Assert.NotEqual(TenantStatus.Provisioning, row.Status);
            Assert.Null(row.MigratingUntil);
            Assert.Equal(
                row.Status.ToString().ToLowerInvariant(),
                await app.AdminAsync(
                    $"""
                    SELECT CASE action WHEN 'suspended' THEN 'suspended' WHEN 'archived' THEN 'archived' WHEN 'restored' THEN (
                            SELECT coalesce(details->>'formerStatus', 'active') FROM admin.tenant_events
                            WHERE tenant_id = '{row.Id}' AND action = 'archived' ORDER BY id DESC LIMIT 1) ELSE 'active' END
                    FROM admin.tenant_events WHERE tenant_id = '{row.Id}' AND action <> 'renamed' ORDER BY id DESC LIMIT 1
                    """
                )
            );
            Assert.Equal(
                $"NeoCommons tenant {row.Id}",
                await app.DirectAsync("home", $"SELECT obj_description('{row.SchemaName}'::regnamespace)")
            );
            Assert.Equal(
                0L,
                await app.DirectAsync(
                    "home",
                    $"SELECT count(*) FROM {row.SchemaName}.\"Products\" WHERE \"Name\" <> '{row.Id}'"
                )
            );
        }

        Assert.Equal(
            await db.Tenants.LongCountAsync(Ct),
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^(tenant|archived)_'")
        );

        async Task ActAsync(Random random)
        {
            while (!stop.IsCancellationRequested)
            {
                var what = random.Next(13) switch
                {
                    0 or 1 => "create",
                    2 => "suspend",
                    3 => "resume",
                    4 => "rename",
                    5 => "archive",
                    6 => "restore",
                    7 => "delete",
                    8 => "fleet",
                    9 => "migrate",
                    10 => "regress",
                    _ => "use",
                };
                try
                {
                    await DoAsync(what, slugs[random.Next(3)], random);
                }
                catch (Exception e) when (IsAnswer(e, what)) { }
                catch (Exception e)
                {
                    faults.Enqueue($"{what}: {e}");
                }
            }
        }

        async Task DoAsync(string what, string slug, Random random)
        {
            if (what == "create")
            {
                await app.CreateTenantAsync(slug, "home");
                return;
            }

            if (what == "regress")
            {
                // As if each tenant had yet to get its last migration.
                await app.DirectAsync("home", Regress);
                return;
            }

            if (what == "fleet")
            {
                var run = await app.Migrator.MigrateAllAsync(ct: Ct);
                if (run.Failed > 0)
                {
                    faults.Enqueue("fleet: " + string.Join("; ", run.Failures.Select(f => f.Error)));
                }

                return;
            }

            var id = (await app.Get<ITenantStore>().FindBySlugAsync(slug, Ct))?.Id;
            if (id is not { } tenant)
            {
                return;
            }

            switch (what)
            {
                case "suspend":
                    await app.Provisioner.SuspendAsync(tenant, ct: Ct);
                    break;
                case "resume":
                    await app.Provisioner.ResumeAsync(tenant, Ct);
                    break;
                case "rename":
                    await app.Provisioner.RenameAsync(
                        tenant,
                        new() { Slug = slugs[random.Next(3)], RenameSchema = random.Next(2) == 0 },
                        Ct
                    );
                    break;
                case "archive":
                    await app.Provisioner.ArchiveAsync(tenant, TimeSpan.Zero, ct: Ct);
                    break;
                case "restore":
                    await app.Provisioner.RestoreAsync(tenant, Ct);
                    break;
                case "delete":
                    await app.Provisioner.DeleteAsync(tenant, new() { ConfirmSlug = slug }, Ct);
                    break;
                case "migrate":
                    await app.Migrator.MigrateAsync(tenant, Ct);
                    break;
                default:
                    await using (var shop = await app.Shop.CreateDbContextAsync(tenant, Ct))
                    {
                        var found = await shop.Products.Select(p => p.Name).Distinct().ToListAsync(Ct);
                        foreach (var name in found.Where(name => name != tenant.ToString()))
                        {
                            faults.Enqueue($"{tenant} read {name}");
                        }

                        shop.Products.Add(
                            new Product
                            {
                                Sku = Guid.NewGuid().ToString(),
                                Name = tenant.ToString(),
                                Price = 1,
                            }
                        );
                        await shop.SaveChangesAsync(Ct);
                    }

                    break;
            }
        }
    }
}
