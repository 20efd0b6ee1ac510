using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>Queries of EF's own making.</summary>
internal static class Reading
{
    private const int Page = 10;

    public static IReadOnlyList<FuzzOperation> All { get; } =
    [
        Read("read tracking", async s => s.CheckRows(await Rows(s).ToListAsync(s.Ct))),
        Read("read no tracking", async s => s.CheckRows(await Rows(s).AsNoTracking().ToListAsync(s.Ct))),
        Read(
            "read sync",
            s =>
            {
                s.CheckRows(Rows(s).AsNoTracking().ToList());
                return Task.CompletedTask;
            }
        ),
        Read("find first", async s => s.CheckRows([await s.Context.Canaries.FirstAsync(c => c.IsSeed, s.Ct)])),
        Read("aggregate", async s => s.Check([(await s.Context.Canaries.MaxAsync(c => c.Tenant, s.Ct))!])),
        Read(
            "stream, left early",
            async s =>
            {
                await foreach (var row in Rows(s).AsNoTracking().AsAsyncEnumerable().WithCancellation(s.Ct))
                {
                    s.CheckRows([row]);
                    if (s.Random.Next(3) == 0)
                    {
                        break;
                    }
                }
            }
        ),
        Read(
            "several on an explicitly opened connection",
            async s =>
            {
                await s.Context.Database.OpenConnectionAsync(s.Ct);
                try
                {
                    for (var i = 0; i < 3; i++)
                    {
                        s.CheckRows(await Rows(s).AsNoTracking().ToListAsync(s.Ct));
                    }
                }
                finally
                {
                    // Else disposing the context must do it.
                    if (s.Random.Next(4) != 0)
                    {
                        await s.Context.Database.CloseConnectionAsync();
                    }
                }
            }
        ),
        new FuzzOperation("write through a read-only context", Writes: false, Doors.ReadOnly, RefusedWriteAsync),
    ];

    private static FuzzOperation Read(string name, Func<FuzzStep, Task> execute) =>
        new(name, Writes: false, Doors.None, execute);

    private static IQueryable<Canary> Rows(FuzzStep s) => s.Context.Canaries.OrderBy(c => c.Id).Take(Page);

    private static async Task RefusedWriteAsync(FuzzStep s)
    {
        try
        {
            await s.Context.Canaries.ExecuteUpdateAsync(set => set.SetProperty(c => c.Note, "written"), s.Ct);
        }
        catch (Npgsql.PostgresException e) when (e.SqlState == Npgsql.PostgresErrorCodes.ReadOnlySqlTransaction)
        {
            return;
        }

        s.Report.Mistake(s.Operation, s.Tenant.Slug, "a context that only reads has written");
    }
}
