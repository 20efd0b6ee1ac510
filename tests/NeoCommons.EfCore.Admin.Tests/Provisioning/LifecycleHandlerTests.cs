using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Admin.Tests.Shop;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

public sealed class LifecycleHandlerTests(TestServers servers)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Handlers_are_called_around_each_change_in_the_order_of_their_registration()
    {
        var journal = new Journal();
        await using var app = await StartAsync(journal);
        var acme = await app.CreateTenantAsync("acme", "home");
        await app.Provisioner.SuspendAsync(acme.Id, "unpaid", Ct);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await app.Provisioner.ResumeAsync(acme.Id, Ct);
        await app.Provisioner.RenameAsync(acme.Id, new() { Slug = "globex" }, Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.RestoreAsync(acme.Id, Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "globex" }, Ct);

        Assert.Equal(
            [
                "1 before Create acme Provisioning",
                "2 before Create acme Provisioning",
                "1 after Create acme Active",
                "2 after Create acme Active",
            ],
            journal.Lines.Take(4)
        );
        Assert.Equal(
            [
                "1 before Suspend acme Active",
                "1 after Suspend acme Suspended",
                "1 before Resume acme Suspended",
                "1 after Resume acme Active",
                "1 before Rename acme Active",
                "1 after Rename globex Active",
                "1 before Archive globex Active",
                "1 after Archive globex Archived",
                "1 before Restore globex Archived",
                "1 after Restore globex Active",
                "1 before Archive globex Active",
                "1 after Archive globex Archived",
                "1 before Delete globex Archived",
                "1 after Delete globex Archived",
            ],
            journal.Lines.Skip(4).Where(l => l[0] == '1')
        );
        Assert.All(journal.Ids, id => Assert.Equal(acme.Id, id));
    }

    [Fact]
    public async Task A_handler_vetoes_and_nothing_is_changed()
    {
        var journal = new Journal();
        await using var app = await StartAsync(journal);
        var acme = await app.CreateTenantAsync("acme", "home");
        journal.Veto = new InvalidTimeZoneException("no");

        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => app.CreateTenantAsync("globex", "home"));
        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => app.Provisioner.SuspendAsync(acme.Id, ct: Ct));
        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => app.Provisioner.ArchiveAsync(acme.Id, ct: Ct));

        Assert.Equal("acme active", await app.AdminAsync("SELECT slug || ' ' || status FROM admin.tenants"));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
        Assert.Equal(
            1L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'")
        );
    }

    [Fact]
    public async Task A_handler_that_fails_afterwards_does_not_undo_the_change()
    {
        var journal = new Journal { Failure = new InvalidTimeZoneException("late") };
        await using var app = await StartAsync(journal);
        var acme = await app.CreateTenantAsync("acme", "home");
        Assert.Equal(TenantStatus.Suspended, (await app.Provisioner.SuspendAsync(acme.Id, ct: Ct)).Status);
    }

    [Fact]
    public async Task Of_two_that_suspend_at_once_handlers_hear_of_the_one_that_did()
    {
        var journal = new Journal();
        await using var app = await StartAsync(journal);
        var acme = await app.CreateTenantAsync("acme", "home");
        var (arrived, both) = (0, new TaskCompletionSource());
        journal.First = async () =>
        {
            if (Interlocked.Increment(ref arrived) == 2)
            {
                both.SetResult();
            }

            await both.Task.WaitAsync(TimeSpan.FromSeconds(60), Ct);
        };

        var suspended = await Task.WhenAll(
            app.Provisioner.SuspendAsync(acme.Id, ct: Ct),
            app.Provisioner.SuspendAsync(acme.Id, ct: Ct)
        );

        Assert.All(suspended, tenant => Assert.Equal(TenantStatus.Suspended, tenant.Status));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events WHERE action = 'suspended'"));
        Assert.Single(journal.Lines, line => line.StartsWith("1 after Suspend", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_handler_can_change_the_tenant_that_it_hears_of()
    {
        var journal = new Journal();
        await using var app = await StartAsync(journal);
        journal.Then = change =>
            change.Action == TenantLifecycleAction.Create
                ? app.Provisioner.RenameAsync(change.Tenant.Id, new() { Name = "Acme Ltd." }, Ct)
                : Task.CompletedTask;

        await app.CreateTenantAsync("acme", "home");

        Assert.Equal("Acme Ltd.", await app.AdminAsync("SELECT name FROM admin.tenants"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_tenant_is_seeded_before_anybody_can_use_it(bool inAdminDatabase)
    {
        var script = new ShopSeeder.Script();
        await using var app = await StartSeededAsync(script, inAdminDatabase);
        script.Then = async () =>
        {
            Assert.Equal("provisioning", await app.AdminAsync("SELECT status FROM admin.tenants"));
            await Assert.ThrowsAsync<TenantUnavailableException>(async () =>
                await app.Shop.CreateDbContextAsync("acme", Ct)
            );
        };

        var acme = await app.CreateTenantAsync("acme", "home");

        Assert.Equal(1, script.Calls);
        await using var shop = await app.Shop.CreateDbContextAsync(acme.Id, Ct);
        Assert.Equal("acme", (await shop.Products.SingleAsync(Ct)).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_seeding_that_fails_leaves_nothing_of_the_tenant(bool inAdminDatabase)
    {
        var script = new ShopSeeder.Script { Then = () => throw new InvalidTimeZoneException("bad seed") };
        await using var app = await StartSeededAsync(script, inAdminDatabase);

        await Assert.ThrowsAsync<InvalidTimeZoneException>(() => app.CreateTenantAsync("acme", "home"));

        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(
            0L,
            await app.DirectAsync("home", "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'")
        );
        Assert.Equal(0L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
    }

    private Task<TestApp> StartAsync(Journal journal) =>
        Homes.StartAsync(
            servers,
            inAdminDatabase: false,
            b =>
            {
                b.AddTenantDbContext<ShopDbContext>();
                b.Services.AddSingleton(journal);
                b.AddTenantLifecycleHandler<First>().AddTenantLifecycleHandler<Second>();
            }
        );

    private Task<TestApp> StartSeededAsync(ShopSeeder.Script script, bool inAdminDatabase) =>
        Homes.StartAsync(
            servers,
            inAdminDatabase,
            b =>
            {
                b.AddTenantDbContext<ShopDbContext>().AddTenantSeeder<ShopSeeder>();
                b.Services.AddSingleton(script);
            }
        );

    private sealed class Journal
    {
        public List<string> Lines { get; } = [];
        public List<TenantId> Ids { get; } = [];
        public Exception? Veto { get; set; }
        public Exception? Failure { get; set; }
        public Func<Task> First { get; set; } = () => Task.CompletedTask;
        public Func<TenantLifecycleChange, Task> Then { get; set; } = _ => Task.CompletedTask;

        public void Write(string when, TenantLifecycleChange change)
        {
            lock (Lines)
            {
                Lines.Add($"{when} {change.Action} {change.Tenant.Slug} {change.Tenant.Status}");
                Ids.Add(change.Tenant.Id);
            }
        }
    }

    private sealed class First(Journal journal) : ITenantLifecycleHandler
    {
        public Task BeforeAsync(TenantLifecycleChange change, CancellationToken ct = default)
        {
            journal.Write("1 before", change);
            return journal.Veto is { } veto ? throw veto : journal.First();
        }

        public Task AfterAsync(TenantLifecycleChange change, CancellationToken ct = default)
        {
            journal.Write("1 after", change);
            return journal.Failure is { } failure ? throw failure : Task.CompletedTask;
        }
    }

    private sealed class Second(Journal journal) : ITenantLifecycleHandler
    {
        public Task BeforeAsync(TenantLifecycleChange change, CancellationToken ct = default)
        {
            journal.Write("2 before", change);
            return Task.CompletedTask;
        }

        public Task AfterAsync(TenantLifecycleChange change, CancellationToken ct = default)
        {
            journal.Write("2 after", change);
            return journal.Then(change);
        }
    }
}
