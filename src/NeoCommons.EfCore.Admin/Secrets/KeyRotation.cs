using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Encrypts the passwords of <c>admin.database_connections</c> with the first key of the list.</summary>
/// <remarks>
/// In batches, each row by itself: killed at any moment, every password can be read, under its old key or the first, and the
/// next run goes on with those that are left. A password that somebody sets meanwhile is not overwritten.
/// </remarks>
internal sealed class KeyRotation(
    IDbContextFactory<AdminDbContext> contexts,
    IOptions<AdminDatabaseOptions> options,
    ISecretProtector protector
)
{
    private const int BatchSize = 200;

    /// <exception cref="InvalidOperationException">The passwords are not Fernet tokens of <c>DB_ENCRYPTION_KEY</c>.</exception>
    public async Task<KeyRotationResult> RunAsync(bool dryRun, CancellationToken ct)
    {
        if (protector is not FernetSecretProtector fernet)
        {
            throw new InvalidOperationException(
                $"The application keeps its passwords with {protector.GetType().Name}, not with the keys of {FernetKeys.Variable}: "
                    + "rotate the keys there."
            );
        }

        var keys = FernetKeys.Parse(options.Value.EncryptionKey);
        var before = new int[keys.All.Count];
        var after = new int[keys.All.Count];
        var unreadable = new List<string>();
        var rotated = 0;
        var last = "";
        List<Row> batch;
        do
        {
            var from = last;
            batch = await ReadAsync(from, ct).ConfigureAwait(false);
            foreach (var row in batch)
            {
                last = row.Name;
                var result = fernet.TryUnprotect(row.Token, out var password);
                if (result != FernetResult.Ok || Fernet.FindSigner(keys, row.Token) is not { } signer)
                {
                    unreadable.Add(row.Name);
                    continue;
                }

                before[signer]++;
                if (signer == 0)
                {
                    after[0]++;
                    continue;
                }

                if (dryRun || await ReplaceAsync(row, fernet.Protect(password!), ct).ConfigureAwait(false))
                {
                    rotated++;
                    after[0]++;
                }
                else
                {
                    // Set anew by somebody else meanwhile, with whatever key he has: the next run counts it.
                    after[signer]++;
                }
            }
        } while (batch.Count == BatchSize);

        return new KeyRotationResult(
            [.. before.Select((count, i) => new KeyCount(i + 1, count, after[i]))],
            rotated,
            unreadable
        );
    }

    private async Task<List<Row>> ReadAsync(string after, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
            .DatabaseConnections.Where(c => string.Compare(c.ConnectionName, after) > 0)
            .OrderBy(c => c.ConnectionName)
            .Take(BatchSize)
            .Select(c => new Row(c.Id, c.ConnectionName, c.EncryptedPassword))
            .ToListAsync(ct)
            .ConfigureAwait(false);
    }

    private async Task<bool> ReplaceAsync(Row row, string token, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
                .DatabaseConnections.Where(c => c.Id == row.Id && c.EncryptedPassword == row.Token)
                .ExecuteUpdateAsync(set => set.SetProperty(c => c.EncryptedPassword, token), ct)
                .ConfigureAwait(false) == 1;
    }

    /// <summary>A class, not a record: nothing of it is ever printed.</summary>
    private sealed class Row(Guid id, string name, string token)
    {
        public Guid Id => id;

        public string Name => name;

        public string Token => token;
    }
}
