using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>The stored passwords of <c>admin.database_connections</c>, each written only where nobody else has written meanwhile.</summary>
internal sealed class PasswordRows(IDbContextFactory<AdminDbContext> contexts)
{
    private const int BatchSize = 200;

    /// <summary>All of them, by name, a batch at a time.</summary>
    public async IAsyncEnumerable<PasswordRow> ReadAllAsync([EnumeratorCancellation] CancellationToken ct)
    {
        var last = "";
        List<PasswordRow> batch;
        do
        {
            batch = await ReadAsync(last, ct).ConfigureAwait(false);
            foreach (var row in batch)
            {
                last = row.Name;
                yield return row;
            }
        } while (batch.Count == BatchSize);
    }

    /// <summary>A row as it is now; null where it is gone.</summary>
    public async Task<PasswordRow?> FindAsync(Guid id, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await Select(context.DatabaseConnections.Where(c => c.Id == id))
            .SingleOrDefaultAsync(ct)
            .ConfigureAwait(false);
    }

    /// <summary>Stores another token; false where the row is not as it was read.</summary>
    public async Task<bool> TryReplaceAsync(PasswordRow row, string token, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
                .DatabaseConnections.Where(c => c.Id == row.Id && c.EncryptedPassword == row.Token)
                .At(row.Target)
                .ExecuteUpdateAsync(set => set.SetProperty(c => c.EncryptedPassword, token), ct)
                .ConfigureAwait(false) == 1;
    }

    private async Task<List<PasswordRow>> ReadAsync(string after, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await Select(
                context
                    .DatabaseConnections.Where(c => string.Compare(c.ConnectionName, after) > 0)
                    .OrderBy(c => c.ConnectionName)
                    .Take(BatchSize)
            )
            .ToListAsync(ct)
            .ConfigureAwait(false);
    }

    private static IQueryable<PasswordRow> Select(IQueryable<DatabaseConnectionEntity> rows) =>
        rows.Select(c => new PasswordRow(
            c.Id,
            c.ConnectionName,
            c.EncryptedPassword,
            new SecretTarget(c.Host, c.Port, c.DatabaseName, c.Username)
        ));
}
