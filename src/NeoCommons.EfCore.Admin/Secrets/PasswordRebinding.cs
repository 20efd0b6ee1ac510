using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore.Admin;

/// <summary>Encrypts the password of a row anew where <see cref="AdminDbContext"/> saves it with another address.</summary>
/// <remarks>
/// Who can save has the keys, and so may move a row; its old token would be refused. A token that is saved in the same breath is
/// taken as it is. What goes around the change tracker, an <c>ExecuteUpdate</c> for one, is not seen: it fails closed.
/// </remarks>
internal sealed class PasswordRebinding(ISecretProtector protector) : SaveChangesInterceptor
{
    public override InterceptionResult<int> SavingChanges(DbContextEventData eventData, InterceptionResult<int> result)
    {
        // Synchronous only with a key source or a vault that is: there is no other way in a synchronous save.
        RebindAsync(eventData.Context, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return result;
    }

    public override async ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData,
        InterceptionResult<int> result,
        CancellationToken cancellationToken = default
    )
    {
        await RebindAsync(eventData.Context, cancellationToken).ConfigureAwait(false);
        return result;
    }

    private async ValueTask RebindAsync(DbContext? context, CancellationToken ct)
    {
        foreach (var entry in context?.ChangeTracker.Entries<DatabaseConnectionEntity>().ToList() ?? [])
        {
            var token = entry.Property(c => c.EncryptedPassword);
            var (before, after) = (Target(entry.OriginalValues), SecretTarget.Of(entry.Entity));
            if (entry.State == EntityState.Modified && before != after && token.CurrentValue == token.OriginalValue)
            {
                var password = await protector.UnprotectAsync(token.OriginalValue, before, ct).ConfigureAwait(false);
                token.CurrentValue = await protector.ProtectAsync(password, after, ct).ConfigureAwait(false);
            }
        }
    }

    private static SecretTarget Target(PropertyValues values) =>
        new(
            values.GetValue<string>(nameof(DatabaseConnectionEntity.Host)),
            values.GetValue<int>(nameof(DatabaseConnectionEntity.Port)),
            values.GetValue<string>(nameof(DatabaseConnectionEntity.DatabaseName)),
            values.GetValue<string>(nameof(DatabaseConnectionEntity.Username))
        );
}
