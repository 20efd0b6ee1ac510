using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Isolation.Tests.Fuzz;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>A server that refuses the bind: in a transaction that has failed, it refuses everything.</summary>
public sealed class RefusedBindTests(FaultDatabase databases) : IClassFixture<FaultDatabase>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<FaultCase> Cases =>
        [
            .. from prepend in new[] { true, false }
            from async in new[] { true, false }
            from reset in Enum.GetValues<SessionReset>()
            select new FaultCase
            {
                Prepend = prepend,
                Async = async,
                Reset = reset,
                Pool = Pool.Used,
            },
        ];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_bind_that_the_server_refuses_lets_no_command_through(FaultCase fault)
    {
        await using var app = await FaultApp.StartAsync(databases.Database, fault);
        await app.PreparePoolAsync();
        await using (var context = await app.CreateAsync(app.Tenants[0]))
        {
            await using (await context.Database.BeginTransactionAsync(Ct))
            {
                // Raw SQL has failed, so the next command of EF is bound again; and that fails too.
                await Assert.ThrowsAsync<PostgresException>(() =>
                    context.Database.ExecuteSqlRawAsync("SET search_path = public; SELECT 1 / 0", Ct)
                );
                var refused = fault.Async
                    ? await Record.ExceptionAsync(() => context.Canaries.ToListAsync(Ct))
                    : Record.Exception(() => context.Canaries.ToList());
                Assert.Equal(
                    PostgresErrorCodes.InFailedSqlTransaction,
                    Assert.IsType<PostgresException>(refused?.InnerException ?? refused).SqlState
                );
            }

            await AssertOwnAsync(context, app.Tenants[0]);
        }

        await using var other = await app.CreateAsync(app.Tenants[1]);
        await AssertOwnAsync(other, app.Tenants[1]);
    }

    private static async Task AssertOwnAsync(CanaryContext context, Tenant tenant)
    {
        var owners = await context.Canaries.Select(c => c.Tenant).ToListAsync(Ct);
        Assert.Equal(FuzzDatabase.Seeds, owners.Count);
        Assert.All(owners, owner => Assert.Equal(tenant.Slug, owner));
    }
}
