using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Admin;

/// <summary>Brings the <c>admin</c> schema up to date; processes that start together take turns.</summary>
internal sealed class AdminMigration(
    AdminDatabase database,
    IDbContextFactory<AdminDbContext> contexts,
    TimeProvider time
)
{
    // EF's own migration lock ends with each commit, so concurrent runners collide: hence ours, around the whole run.
    private const string Lock = "neocommons.migrate:admin";

    public async Task MigrateAsync(CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var session = await database.OpenUnpooledAsync(ct).ConfigureAwait(false);
        await using var _ = session.ConfigureAwait(false);
        await AdvisoryLock.AcquireAsync(session, Lock, time, ct).ConfigureAwait(false);

        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var __ = context.ConfigureAwait(false);
        // EF looks for its history by reading it, and logs an error where there is none: the first start would show one.
        await context.GetService<IHistoryRepository>().CreateIfNotExistsAsync(ct).ConfigureAwait(false);
        await context.Database.MigrateAsync(ct).ConfigureAwait(false);
    }
}
