using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>SaveChanges, ExecuteUpdate and ExecuteDelete. Each row written says by whom.</summary>
internal static class Writing
{
    private const long Kept = 50;

    public static IReadOnlyList<FuzzOperation> All { get; } =
    [
        Write(
            "insert one",
            async s =>
            {
                s.Context.Add(s.NewRow());
                await s.Context.SaveChangesAsync(s.Ct);
            }
        ),
        Write(
            "insert three",
            async s =>
            {
                s.Context.AddRange(s.NewRow(), s.NewRow(), s.NewRow());
                await s.Context.SaveChangesAsync(s.Ct);
            }
        ),
        Write(
            "insert sync",
            s =>
            {
                s.Context.Add(s.NewRow());
                s.Context.SaveChanges();
                return Task.CompletedTask;
            }
        ),
        Write(
            "update what was read",
            async s =>
            {
                var row = await s.Context.Canaries.OrderBy(c => c.Id).FirstAsync(c => c.IsSeed, s.Ct);
                s.CheckRows([row]);
                row.Touched++;
                row.Writer = s.Tenant.Slug;
                s.CheckAffected(await s.Context.SaveChangesAsync(s.Ct), 1);
            }
        ),
        Write(
            "ExecuteUpdate",
            async s =>
                s.CheckAffected(
                    await s.ASeed()
                        .ExecuteUpdateAsync(
                            set => set.SetProperty(c => c.Writer, s.Tenant.Slug).SetProperty(c => c.Note, "updated"),
                            s.Ct
                        ),
                    1
                )
        ),
        Write(
            "ExecuteUpdate sync",
            s =>
            {
                s.CheckAffected(s.ASeed().ExecuteUpdate(set => set.SetProperty(c => c.Writer, s.Tenant.Slug)), 1);
                return Task.CompletedTask;
            }
        ),
        Write(
            "ExecuteDelete",
            async s =>
            {
                // What is found is known to be there: it was written a moment ago, by a lease of this tenant.
                var note = Guid.NewGuid().ToString("N");
                s.Context.Add(s.NewRow(note));
                await s.Context.SaveChangesAsync(s.Ct);
                s.CheckAffectedOnce(await s.Context.Canaries.Where(c => c.Note == note).ExecuteDeleteAsync(s.Ct), 1);
            }
        ),
        Write(
            "delete old rows",
            async s =>
            {
                var newest = await s.Context.Canaries.MaxAsync(c => c.Id, s.Ct);
                await s.Context.Canaries.Where(c => !c.IsSeed && c.Id < newest - Kept).ExecuteDeleteAsync(s.Ct);
            }
        ),
    ];

    private static FuzzOperation Write(string name, Func<FuzzStep, Task> execute) =>
        new(name, Writes: true, Doors.None, execute);
}
