using NeoCommons.EfCore.Admin.Tests.TenantMigrations;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>
/// Each step of a tenant's life is cancelled before its first message to a database, before its second, and so on: the
/// same call finishes it, in another process too, and no lock is left. Every fourth message; <c>NEO_EVERY_MESSAGE=1</c>
/// for all of them.
/// </summary>
public sealed class LifecycleCancellationTests(TestServers servers)
{
    private const string Locks =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

    private static readonly int Stride = Environment.GetEnvironmentVariable("NEO_EVERY_MESSAGE") == "1" ? 1 : 4;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("create", false)]
    [InlineData("create", true)]
    [InlineData("archive", false)]
    [InlineData("archive", true)]
    [InlineData("restore", false)]
    [InlineData("restore", true)]
    [InlineData("delete", false)]
    [InlineData("delete", true)]
    public async Task What_is_cancelled_between_two_messages_is_finished_by_the_same_call(string step, bool ofAdmin)
    {
        await using var fleet = await ProxiedFleet.StartAsync(servers);
        var proxy = ofAdmin ? fleet.Admin : fleet.Tenants;
        var before = (long)(await fleet.App.AdminAsync(Locks))!;
        var cancelled = 0;
        for (var piece = 1; ; piece += Stride)
        {
            var order = new NewTenant
            {
                Slug = $"t{piece:0000}",
                Name = "t",
                ConnectionName = "db1",
                Id = TenantId.New(),
            };
            foreach (var earlier in Before(step))
            {
                await TakeAsync(fleet.App.Provisioner, earlier, order, Ct);
            }

            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
            var hit = proxy.BeforePiece(piece, ProxyDirection.ToServer, cancel.CancelAsync);
            try
            {
                await TakeAsync(fleet.Provisioner, step, order, cancel.Token).WaitAsync(Patience, Ct);
            }
            catch (OperationCanceledException)
            {
                cancelled++;
            }

            if (!hit.IsCompleted)
            {
                break;
            }

            await Eventually.EqualAsync((object?)0L, () => fleet.App.DirectAsync("db1", Locks));
            await Eventually.EqualAsync((object?)before, () => fleet.App.AdminAsync(Locks));
            await FinishAsync(fleet, step, order);
            await AssertTakenAsync(fleet.App, step, order);
        }

        Assert.True(cancelled > 1, $"Only {cancelled} were cut short.");
    }

    private static string[] Before(string step) =>
        step switch
        {
            "create" => [],
            "archive" => ["create"],
            "restore" or "delete" => ["create", "archive"],
            _ => throw new ArgumentOutOfRangeException(nameof(step)),
        };

    private static Task TakeAsync(ITenantProvisioner provisioner, string step, NewTenant order, CancellationToken ct) =>
        step switch
        {
            "create" => provisioner.CreateAsync(order, ct),
            "archive" => provisioner.ArchiveAsync(order.Id!.Value, ct: ct),
            "restore" => provisioner.RestoreAsync(order.Id!.Value, ct: ct),
            _ => provisioner.DeleteAsync(
                order.Id!.Value,
                new TenantDeletion { ConfirmSlug = order.Slug, Force = true },
                ct
            ),
        };

    private static async Task FinishAsync(ProxiedFleet fleet, string step, NewTenant order)
    {
        try
        {
            await TakeAsync(fleet.App.Provisioner, step, order, Ct);
        }
        catch (TenantNotFoundException) when (step == "delete")
        {
            // It was too late to cancel it.
        }
    }

    private static async Task AssertTakenAsync(TestApp app, string step, NewTenant order)
    {
        var (status, schemas) = step switch
        {
            "create" or "restore" => ("active", $"tenant_{order.Slug}"),
            "archive" => ("archived", (string)(await SchemaOfAsync(app, order))!),
            _ => (null, ""),
        };
        Assert.Equal(status, await app.AdminAsync($"SELECT status FROM admin.tenants WHERE slug = '{order.Slug}'"));
        Assert.Equal(
            schemas,
            await app.DirectAsync(
                "db1",
                $"SELECT coalesce(string_agg(nspname, ','), '') FROM pg_namespace WHERE nspname LIKE '%{order.Slug}%'"
            )
        );
        if (status is not null)
        {
            Assert.Equal(schemas, await SchemaOfAsync(app, order));
            Assert.Equal(101, await app.DirectAsync("db1", $"SELECT n FROM \"{schemas}\".runs"));
        }
    }

    private static Task<object?> SchemaOfAsync(TestApp app, NewTenant order) =>
        app.AdminAsync($"SELECT schema_name FROM admin.tenants WHERE slug = '{order.Slug}'");
}
