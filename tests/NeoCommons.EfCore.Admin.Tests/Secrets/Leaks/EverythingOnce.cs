using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>Does all that the library can do, well and badly, and hands what comes back to the recorder.</summary>
/// <remarks>To cover what is new, add a line to one of the lists. Commands that nobody runs here fail the test.</remarks>
internal sealed class EverythingOnce(CanaryApp app, LeakRecorder recorder)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private T Get<T>()
        where T : notnull => app.Services.GetRequiredService<T>();

    public async Task RunAsync()
    {
        await TenantsAsync();
        await ContextsAsync();
        await RawAccessAsync();
        await FailingConnectionsAsync();
        await CommandsOnce.RunAsync(app, recorder);
        await HealthAsync();
        await FailingStartsAsync();
        await DescriptionsAsync();
        await RedisAsync();
    }

    private async Task RedisAsync()
    {
        await Get<IRegistryReload>().ReloadAsync(Ct);
        await Get<ITenantStore>().FindBySlugAsync("acme", Ct);
        await Eventually.TrueAsync(async () => (await app.DumpRedisAsync()).Split('\n').Length > 2);
        recorder.Add("redis", await app.DumpRedisAsync());
    }

    private async Task TenantsAsync()
    {
        var tenants = Get<ITenantProvisioner>();
        await WorksAsync("create", () => tenants.CreateAsync(New("acme", "db1"), Ct));
        await FailsAsync("create twice", () => tenants.CreateAsync(New("acme", "db1"), Ct));
        await FailsAsync("create nowhere", () => tenants.CreateAsync(New("nobody", "nowhere"), Ct));
        var globex = await tenants.CreateAsync(New("globex", "db2"), Ct);
        await WorksAsync("refresh the template", () => tenants.RefreshTemplateAsync("db2", Ct));
        await WorksAsync("suspend", () => tenants.SuspendAsync(globex.Id, "unpaid", Ct));
        await WorksAsync("resume", () => tenants.ResumeAsync(globex.Id, Ct));
        await WorksAsync(
            "rename",
            () => tenants.RenameAsync(globex.Id, new() { Slug = "apex", RenameSchema = true }, Ct)
        );
        await WorksAsync("archive", () => tenants.ArchiveAsync(globex.Id, ct: Ct));
        await WorksAsync("restore", () => tenants.RestoreAsync(globex.Id, Ct));
        await FailsAsync(
            "delete an active one",
            () => tenants.DeleteAsync(globex.Id, new() { ConfirmSlug = "apex" }, Ct)
        );
        await WorksAsync("archive again", () => tenants.ArchiveAsync(globex.Id, ct: Ct));
        var file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await FailsAsync("export to nowhere", () => DeleteAsync("/nowhere/file"));
        await WorksAsync("export and delete", () => DeleteAsync(file));
        File.Delete(file);
        await WorksAsync(
            "migrate one",
            async () => await Get<ITenantMigrator>().MigrateAsync(await IdAsync("acme"), Ct)
        );
        await WorksAsync("migrate all", async () => await Get<ITenantMigrator>().MigrateAllAsync(ct: Ct));
        await WorksAsync(
            "script",
            async () => await Get<ITenantMigrator>().GenerateScriptAsync(await IdAsync("acme"), Ct)
        );
        await WorksAsync("examine", async () => await Get<ITenantDoctor>().ExamineAsync(ct: Ct).ToListAsync(Ct));

        Task DeleteAsync(string to) =>
            tenants.DeleteAsync(
                globex.Id,
                new()
                {
                    ConfirmSlug = "apex",
                    Force = true,
                    ExportTo = to,
                },
                Ct
            );
    }

    private async Task ContextsAsync()
    {
        var shops = Get<ITenantDbContextFactory<ShopDbContext>>();
        await using var shop = await shops.CreateDbContextAsync("acme", Ct);
        recorder.Add("connection string", shop.Database.GetConnectionString() + shop.Database.GetDbConnection());
        shop.Products.Add(new Product { Sku = "1", Name = "one" });
        await WorksAsync("save", () => shop.SaveChangesAsync(Ct));
        await WorksAsync("query", () => shop.Products.ToListAsync(Ct));
        await WorksAsync("open", () => shop.Database.OpenConnectionAsync(Ct));
        recorder.Add(
            "connection string",
            shop.Database.GetConnectionString() + shop.Database.GetDbConnection().ConnectionString
        );
        shop.Products.Add(new Product { Sku = "1", Name = "two" });
        await FailsAsync("save what is there", () => shop.SaveChangesAsync(Ct));
        await FailsAsync("bad SQL", () => shop.Database.ExecuteSqlRawAsync("SELECT nothing FROM nowhere", Ct));
        await using var read = await shops.CreateReadOnlyDbContextAsync(await IdAsync("acme"), Ct);
        await WorksAsync("read only", () => read.Products.CountAsync(Ct));
        await FailsAsync("no tenant", async () => await shops.CreateDbContextAsync("nobody", Ct));
        await using var admin = await Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(Ct);
        recorder.Add("connection string", admin.Database.GetConnectionString() ?? "");
        await WorksAsync("rows", () => admin.DatabaseConnections.ToListAsync(Ct));
        recorder.Add("connection string", admin.Database.GetDbConnection().ConnectionString);
        var row = await admin.DatabaseConnections.SingleAsync(c => c.ConnectionName == "copied", Ct);
        row.Host = "moved.example";
        await FailsAsync("move what cannot be read", () => admin.SaveChangesAsync(Ct));
        recorder.Add("debug view", admin.ChangeTracker.DebugView.ShortView);
    }

    private async Task RawAccessAsync()
    {
        var databases = Get<IDatabaseConnections>();
        await using var connection = await databases.OpenConnectionAsync("db1", Ct);
        recorder.Add("connection string", connection.ConnectionString + connection);
        await using var tenant = await databases.OpenTenantConnectionAsync(await IdAsync("acme"), Ct);
        recorder.Add("connection string", tenant.ConnectionString + tenant);
        var source = await databases.GetDataSourceAsync("db1", Ct);
        await using var unopened = source.CreateConnection();
        recorder.Add("connection string", source.ConnectionString + source + unopened.ConnectionString);
        recorder.Add("pool", $"{databases.GetPoolMetrics("db1")}");
    }

    private async Task FailingConnectionsAsync()
    {
        var databases = Get<IDatabaseConnections>();
        var shops = Get<ITenantDbContextFactory<ShopDbContext>>();
        foreach (var name in CanaryApp.Failing)
        {
            await FailsAsync($"{name}: open", async () => await databases.OpenConnectionAsync(name, Ct));
            await FailsAsync($"{name}: data source", async () => await databases.GetDataSourceAsync(name, Ct));
            await FailsAsync(
                $"{name}: query",
                async () =>
                {
                    await using var shop = await shops.CreateDbContextAsync($"t-{name}", Ct);
                    await shop.Products.ToListAsync(Ct);
                }
            );
            await FailsAsync(
                $"{name}: create",
                () => Get<ITenantProvisioner>().CreateAsync(New($"new-{name}", name), Ct)
            );
        }
    }

    private async Task HealthAsync()
    {
        var report = await Get<HealthCheckService>().CheckHealthAsync(Ct);
        foreach (var (name, entry) in report.Entries)
        {
            var texts = new[]
            {
                entry.Description ?? "",
                JsonSerializer.Serialize(entry.Data),
                Texts.OfValue(entry.Data),
            };
            recorder.Add("health", name + string.Join('\n', texts) + (entry.Exception is { } e ? Texts.Of(e) : ""));
        }
    }

    private async Task FailingStartsAsync()
    {
        foreach (
            var (key, value) in new[]
            {
                ("ADMIN_DATABASE_URL", app.AdminAddress(5432).Replace("@", "@[", StringComparison.Ordinal)),
                ("ADMIN_DATABASE_URL", $"Host=x;Username=u;Password={app.Password.Text};Bogus=1"),
                ("ADMIN_DATABASE_URL", $"{app.AdminAddress(5432)}&options=-c%20search_path=x"),
                ("ADMIN_DATABASE_URL", $"mysql://u:{app.Password.Text}@h/d"),
                ("REDIS_URL", $"redis://:{Uri.EscapeDataString(app.Password.Text)}@cache/zero"),
                ("REDIS_URL", $"rediss://{app.Password.Text}"),
                ("DB_ENCRYPTION_KEY", app.Key.Text + "x"),
                ("DB_ENCRYPTION_KEY", $"{app.Key.Text},{app.Key.Text}"),
                ("DB_ENCRYPTION_KEY", app.OtherKey.Text[1..] + ","),
            }
        )
        {
            using var host = app.Build(new Dictionary<string, string?> { [key] = value });
            await FailsAsync($"start: {key}", () => host.StartAsync(Ct));
        }

        using var alone = app.Build(new Dictionary<string, string?> { ["ADMIN_DATABASE_URL"] = app.AdminAddress(1) });
        await WorksAsync("start without the admin database", () => alone.StartAsync(Ct));
        await FailsAsync(
            "look up without the admin database",
            async () => await alone.Services.GetRequiredService<IConnectionRegistry>().ListAsync(Ct)
        );
        await alone.StopAsync(Ct);
    }

    private async Task DescriptionsAsync()
    {
        foreach (var row in await Get<IConnectionRegistry>().ListAsync(Ct))
        {
            recorder.Add("text of a row", $"{row} {row.Password} {JsonSerializer.Serialize(row)}");
            recorder.Add("what a debugger shows", DebuggerView.Of(row));
        }

        await foreach (var tenant in Get<ITenantStore>().ListAsync(Ct))
        {
            recorder.Add("text of a tenant", $"{tenant} {JsonSerializer.Serialize(tenant)}");
        }

        foreach (
            var service in new object[]
            {
                Get<ISecretProtector>(),
                Get<IConnectionRegistry>(),
                Get<IDatabaseConnections>(),
            }
        )
        {
            recorder.Add("text of a service", $"{service}");
        }
    }

    private async Task<TenantId> IdAsync(string slug) => (await Get<ITenantStore>().FindBySlugAsync(slug, Ct))!.Id;

    private static NewTenant New(string slug, string connection) =>
        new()
        {
            Slug = slug,
            Name = slug,
            ConnectionName = connection,
        };

    private async Task WorksAsync(string name, Func<Task> work)
    {
        var failure = await Record.ExceptionAsync(work);
        Assert.True(failure is null, $"{name}: {failure}");
    }

    private Task WorksAsync<T>(string name, Func<Task<T>> work) =>
        WorksAsync(name, async () => recorder.Add(name, Texts.OfValue(await work())));

    private async Task FailsAsync(string name, Func<Task> work)
    {
        var failure = await Record.ExceptionAsync(work);
        Assert.True(failure is not null, $"{name} should have failed.");
        recorder.Add(name, Texts.Of(failure));
    }
}
