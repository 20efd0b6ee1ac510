using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Executes migrations on one connection for one schema, and makes sure beforehand that it is that schema.</summary>
/// <remarks>
/// For one run: what it knows of the histories is not undone by a rollback. Without a session, behind a transaction pooler
/// that is, all of the run lies in one transaction, which the caller has begun before the lock.
/// </remarks>
internal sealed class SchemaMigration(
    NpgsqlConnection connection,
    SchemaName schema,
    SearchPath searchPath,
    TimeProvider time,
    bool hasSession,
    TimeSpan lockTimeout = default,
    bool isShared = false,
    bool isTemplate = false
)
{
    /// <summary>How long a look at a history waits for a lock, in ms: who only looks holds up nobody, and is not held up.</summary>
    public const int ReadPatience = 1_000;

    private static readonly bool CanSplit =
        !AppContext.TryGetSwitch("Npgsql.EnableSqlRewriting", out var isEnabled) || isEnabled;

    private readonly HashSet<HistoryTable> _histories = [];

    // A statement that no transaction may hold leaves another lock_timeout.
    private string Binding =>
        FormattableString.Invariant(
            $"{(isShared ? searchPath.BindToShared(!hasSession) : searchPath.BindTo(schema, !hasSession, isTemplate))}; SET {(hasSession ? "" : "LOCAL ")}lock_timeout = {(int)lockTimeout.TotalMilliseconds}"
        );

    /// <summary>Whether the lock was had, so that something may have been done.</summary>
    public bool WasLocked { get; private set; }

    /// <summary>The name of the schema's lock, which is hashed.</summary>
    public static string LockKey(SchemaName schema) => "neocommons.migrate:" + schema.Value;

    /// <summary>Waits for the schema's lock, which other migrations and the creation of the schema take too.</summary>
    /// <remarks>The lock is the session's: it ends with the connection, which therefore must not be a pooled one.</remarks>
    /// <param name="ct">Cancels.</param>
    /// <param name="patience">How long it waits; null: <see cref="AdvisoryLock.Patience"/>.</param>
    /// <exception cref="TimeoutException">Somebody else has held it all the time.</exception>
    public async Task LockAsync(CancellationToken ct, TimeSpan? patience = null)
    {
        var key = LockKey(schema);
        await (
            hasSession
                ? AdvisoryLock.AcquireAsync(connection, key, time, ct, patience)
                : AdvisoryLock.AcquireForTransactionAsync(connection, key, time, ct, patience)
        ).ConfigureAwait(false);
        WasLocked = true;
    }

    /// <summary>Binds the session to the schema, or the transaction.</summary>
    /// <remarks>
    /// A transaction that waited for the lock may know by heart what was there before: by reading a table of the catalog it
    /// learns what others have done, and so does all that comes after.
    /// </remarks>
    /// <exception cref="TenantIsolationException">The schema does not exist, so unqualified names would lead elsewhere.</exception>
    public async Task BindAsync(CancellationToken ct)
    {
        var command = new NpgsqlCommand(
            Binding + "; SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = current_schema()",
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        var current = await command.ExecuteScalarAsync(ct).ConfigureAwait(false) as string;
        if (current != schema.Value)
        {
            throw NoSchema(schema, $"in database '{connection.Database}'", current);
        }
    }

    public static TenantIsolationException NoSchema(SchemaName schema, string where, string? current) =>
        new(
            $"Schema '{schema}' does not exist {where}, or its role may not use it: objects would be created in "
                + $"{(current is null ? "no schema" : $"'{current}'")} instead, so nothing was done. Create the tenant with "
                + "'tenants create' (ITenantProvisioner), or correct schema_name in admin.tenants."
        );

    /// <summary>Compares the scripts with the schema's histories; changes nothing.</summary>
    /// <exception cref="InvalidOperationException">A history is ahead, and lacks a migration that is known here.</exception>
    public async Task<MigrationPlan> PlanAsync(IEnumerable<MigrationScript> scripts, CancellationToken ct)
    {
        var applied = new List<string>();
        var pending = new List<MigrationStep>();
        var ahead = false;
        foreach (var script in scripts)
        {
            var history = await ReadHistoryAsync(script.History, ct).ConfigureAwait(false);
            applied.AddRange(history);

            // What is unknown and older was squashed or removed; only what is newer than all we know says "ahead".
            var last = script.Steps is [.., var step] ? step.Id : null;
            var newer = history
                .Except(script.Steps.Select(s => s.Id), StringComparer.Ordinal)
                .FirstOrDefault(id => string.CompareOrdinal(id, last) > 0);
            var lacking = script.Steps.ExceptBy(history, s => s.Id, StringComparer.Ordinal).ToList();
            if (newer is not null && lacking.Count > 0)
            {
                throw Mixed(schema, script.History, newer, lacking[0].Id);
            }

            ahead |= newer is not null;
            pending.AddRange(lacking);
        }

        return new MigrationPlan(applied, ahead ? [] : pending, ahead);
    }

    /// <summary>Nothing is known of what a schema has.</summary>
    public static InvalidOperationException Unreadable(SchemaName schema, string error) =>
        new(
            $"The migrations history of schema {schema.Quoted} cannot be read ({error}). Nothing is known of what it has; "
                + "mend the table, grant SELECT on it to the connection's user, or end the session that has locked it."
        );

    /// <summary>A newer version would have applied what is known here: another application writes into the same history.</summary>
    public static InvalidOperationException Mixed(
        SchemaName schema,
        HistoryTable history,
        string newer,
        string? lacking
    ) =>
        new(
            $"The migrations history {history.Table} of schema '{schema}' holds '{newer}', which this application does not know, and "
                + $"lacks {(lacking is null ? "older ones" : $"'{lacking}'")}, which it does. If two applications share the tenants, "
                + "give each a history of its own: UseNpgsql(n => n.MigrationsHistoryTable(\"...\")). If a branch was left "
                + "behind, merge its migrations."
        );

    /// <summary>Executes the steps inside the transaction that the caller has begun.</summary>
    public async Task ApplyInTransactionAsync(IEnumerable<MigrationStep> steps, CancellationToken ct)
    {
        foreach (var step in steps)
        {
            await ExecuteAsync(step, [.. step.Statements.Select(s => s.Sql), .. Record(step)], ct)
                .ConfigureAwait(false);
        }
    }

    /// <summary>Executes the steps in as few transactions as their statements allow: one, as a rule.</summary>
    /// <remarks>A step with statements that no transaction may hold runs apart: see <see cref="SuppressedStep"/>.</remarks>
    public async Task ApplyAsync(IReadOnlyList<MigrationStep> steps, CancellationToken ct)
    {
        for (var next = 0; next < steps.Count; )
        {
            if (!steps[next].IsTransactional)
            {
                await new SuppressedStep(this, connection, schema, steps[next]).RunAsync(ct).ConfigureAwait(false);
                next++;
                continue;
            }

            var together = steps.Skip(next).TakeWhile(s => s.IsTransactional).ToList();
            var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
            await using var _ = transaction.ConfigureAwait(false);
            await ApplyInTransactionAsync(together, ct).ConfigureAwait(false);
            await transaction.CommitAsync(ct).ConfigureAwait(false);
            next += together.Count;
        }
    }

    /// <summary>Executes statements of a step, bound to the schema, in one message: the driver takes them apart.</summary>
    /// <remarks>
    /// The step before may have left another search path, as a pasted dump does. No command timeout: a large table takes
    /// as long as it takes, and the token ends it.
    /// </remarks>
    public async Task ExecuteAsync(MigrationStep step, IEnumerable<string> statements, CancellationToken ct)
    {
        IEnumerable<string> all = [Binding, .. statements];
        try
        {
            foreach (var sql in CanSplit ? [string.Join("\n;\n", all)] : all)
            {
                await connection.ExecuteAsync(sql, ct, timeout: 0).ConfigureAwait(false);
            }
        }
        catch (PostgresException e)
        {
            e.Data["Migration"] = step.Id;
            throw;
        }
    }

    /// <summary>What records a step as applied.</summary>
    public IEnumerable<string> Record(MigrationStep step)
    {
        if (_histories.Add(step.History))
        {
            yield return step.History.CreateSql(schema);
        }

        yield return step.History.InsertSql(schema, step.Id);
    }

    private async Task<IReadOnlyList<string>> ReadHistoryAsync(HistoryTable history, CancellationToken ct)
    {
        var found = await history.ReadAsync(connection, schema, ct).ConfigureAwait(false);
        if (found is not null)
        {
            _histories.Add(history);
        }

        return found ?? [];
    }
}
