using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>Where a row names several servers, a tenant that breaks its sessions is kept apart too, at each of them.</summary>
public sealed class HostBlastRadiusTests(Pair pair) : IClassFixture<Pair>
{
    private static readonly int Breaks = new QuotaOptions().TenantMaxBreaks;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tenant_that_goes_on_raising_errors_of_the_server_breaks_only_its_own_sessions()
    {
        await using var app = pair.NewApp(
            // What asks for the process is raw SQL, which may write.
            new Dictionary<string, string?> { ["NeoCommons:Connections:ReadYourWrites"] = "false" }
        );
        var row = await pair.AddAsync(app, r => r with { MaxPoolSize = 4 });
        var (raiser, other) = (await app.AddTenantAsync(row, "raiser"), await app.AddTenantAsync(row, "other"));
        await pair.CatchUpAsync();
        await ReadOnlyContextTests.OnStandbyAsync(app, raiser);
        var source = await app.AcquireAsync(row.Name);
        for (var i = 0; i < Breaks; i++)
        {
            await RaiseAsync(readOnly: false);
        }

        Assert.True(source.Quarantine.Holds(source.Tenants.Enter(raiser, source.Row)));
        var (writes, reads) = (await OfAsync(other, readOnly: false), await OfAsync(other, readOnly: true));
        for (var i = 0; i < 4; i++)
        {
            await RaiseAsync(readOnly: i % 2 == 0);
            Assert.Equal(writes, await OfAsync(other, readOnly: false));
            Assert.Equal(reads, await OfAsync(other, readOnly: true));
        }

        // Its own work is done too, where anybody's is.
        Assert.Equal((writes.Owner, false), ("other", writes.IsStandby));
        Assert.Equal((reads.Owner, true), ("other", reads.IsStandby));
        var (own, ownReads) = (await OfAsync(raiser, readOnly: false), await OfAsync(raiser, readOnly: true));
        Assert.Equal(("raiser", false), (own.Owner, own.IsStandby));
        Assert.Equal(("raiser", true), (ownReads.Owner, ownReads.IsStandby));

        async Task RaiseAsync(bool readOnly)
        {
            await using var context = readOnly
                ? await app.Contexts.CreateReadOnlyDbContextAsync(raiser.Id, Ct)
                : await app.Contexts.CreateDbContextAsync(raiser.Id, Ct);
            await Assert.ThrowsAsync<PostgresException>(() =>
                context.Database.ExecuteSqlRawAsync(
                    "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53200'; END $$",
                    Ct
                )
            );
        }

        async Task<(string Owner, int Pid, bool IsStandby)> OfAsync(Tenant tenant, bool readOnly)
        {
            await using var context = readOnly
                ? await app.Contexts.CreateReadOnlyDbContextAsync(tenant.Id, Ct)
                : await app.Contexts.CreateDbContextAsync(tenant.Id, Ct);
            await context.Database.OpenConnectionAsync(Ct);
            var pid = await context.Database.SqlQueryRaw<int>("SELECT pg_backend_pid() AS \"Value\"").SingleAsync(Ct);
            return (
                (await context.Items.AsNoTracking().SingleAsync(Ct)).Owner,
                pid,
                await ReadOnlyContextTests.IsStandbyAsync(context)
            );
        }
    }
}
