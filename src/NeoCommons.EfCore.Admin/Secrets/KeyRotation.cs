namespace NeoCommons.EfCore.Admin;

/// <summary>Encrypts the passwords of <c>admin.database_connections</c> with the first key of the list, and binds them.</summary>
/// <remarks>
/// Each row by itself: killed at any moment, every password can be read, under its old key or the first, and the next run goes
/// on with those that are left. A row that somebody changes meanwhile is not overwritten but looked at again. A password that
/// is bound to another target than its row names is left alone: to bind it here would be to approve of the change.
/// </remarks>
internal sealed class KeyRotation(PasswordRows rows, ISecretProtector protector)
{
    /// <exception cref="InvalidOperationException">The passwords are not Fernet tokens of <c>DB_ENCRYPTION_KEY</c>.</exception>
    public async Task<KeyRotationResult> RunAsync(bool dryRun, CancellationToken ct)
    {
        var (secrets, acceptsUnbound) = await OpenAsync(ct).ConfigureAwait(false);
        var before = new int[secrets.KeyCount];
        var after = new int[secrets.KeyCount];
        var bound = new List<BoundPassword>();
        var unusable = new List<UnusablePassword>();
        var rotated = 0;
        await foreach (var row in rows.ReadAllAsync(ct).ConfigureAwait(false))
        {
            Count(before, secrets.FindKey(row.Token));
            for (var current = row; current is not null; )
            {
                var stored = secrets.Read(current.Token, current.Target);
                if (stored.ToSecret(acceptsUnbound).FaultKind is { } fault)
                {
                    unusable.Add(new UnusablePassword(current.Name, fault));
                    Count(after, secrets.FindKey(current.Token));
                    break;
                }

                if (stored.State == StoredSecretState.Bound && secrets.FindKey(current.Token) == 0)
                {
                    after[0]++;
                    break;
                }

                var token = secrets.Protect(stored.Text!, current.Target);
                if (dryRun || await rows.TryReplaceAsync(current, token, ct).ConfigureAwait(false))
                {
                    rotated++;
                    after[0]++;
                    if (stored.State == StoredSecretState.Unbound)
                    {
                        bound.Add(new BoundPassword(current.Name, current.Target.ToString()));
                    }

                    break;
                }

                current = await rows.FindAsync(current.Id, ct).ConfigureAwait(false);
            }
        }

        return new KeyRotationResult(
            [.. before.Select((count, i) => new KeyCount(i + 1, count, after[i]))],
            rotated,
            bound,
            unusable
        );
    }

    /// <summary>Which keys are needed still; changes nothing.</summary>
    /// <exception cref="InvalidOperationException">The passwords are not Fernet tokens of <c>DB_ENCRYPTION_KEY</c>.</exception>
    public async Task<KeyStatus> GetStatusAsync(CancellationToken ct)
    {
        var (secrets, acceptsUnbound) = await OpenAsync(ct).ConfigureAwait(false);
        var connections = Enumerable.Range(0, secrets.KeyCount).Select(_ => new List<string>()).ToList();
        var unbound = new List<string>();
        var unusable = new List<UnusablePassword>();
        await foreach (var row in rows.ReadAllAsync(ct).ConfigureAwait(false))
        {
            if (secrets.FindKey(row.Token) is { } key)
            {
                connections[key].Add(row.Name);
            }

            var stored = secrets.Read(row.Token, row.Target);
            if (stored.State == StoredSecretState.Unbound)
            {
                unbound.Add(row.Name);
            }

            if (stored.ToSecret(acceptsUnbound).FaultKind is { } fault)
            {
                unusable.Add(new UnusablePassword(row.Name, fault));
            }
        }

        return new KeyStatus(connections, unbound, unusable);
    }

    private static void Count(int[] counts, int? key)
    {
        if (key is { } index)
        {
            counts[index]++;
        }
    }

    private async Task<(FernetSecrets Secrets, bool AcceptsUnbound)> OpenAsync(CancellationToken ct) =>
        protector is FernetSecretProtector fernet
            ? (await fernet.OpenAsync(ct).ConfigureAwait(false), fernet.AcceptsUnbound)
            : throw new InvalidOperationException(
                $"The application keeps its passwords with {protector.GetType().Name}, not with the keys of {FernetKeys.Variable}: "
                    + "rotate the keys there."
            );
}
