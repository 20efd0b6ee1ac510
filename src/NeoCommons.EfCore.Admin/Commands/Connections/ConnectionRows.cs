using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Query;

namespace NeoCommons.EfCore.Admin;

/// <summary>Changes a row of <c>admin.database_connections</c> by its name.</summary>
internal static class ConnectionRows
{
    /// <exception cref="ConnectionNotFoundException">There is no such row.</exception>
    public static async Task UpdateAsync(
        CommandRun run,
        string name,
        Action<UpdateSettersBuilder<DatabaseConnectionEntity>> set,
        CancellationToken ct
    )
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var changed = await context
            .DatabaseConnections.Where(c => c.ConnectionName == name)
            .ExecuteUpdateAsync(set, ct)
            .ConfigureAwait(false);
        if (changed == 0)
        {
            throw new ConnectionNotFoundException(name);
        }
    }
}
