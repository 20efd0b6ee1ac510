using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>How workers, of one process or of many, share the tenants of a run.</summary>
/// <remarks>
/// A worker claims one tenant at a time, in the message that also writes what came of the one before. Whether a worker is
/// alive is an advisory lock that its process holds: it ends with the process, however that ends.
/// </remarks>
internal sealed class MigrationClaims(AdminDatabase database)
{
    /// <summary>How long a tenant counts as being migrated when its worker is not heard of any more.</summary>
    public static readonly TimeSpan Duration = TimeSpan.FromSeconds(30);

    // Applications with other contexts may share the tenants: a version that only they know stays.
    private const string Newer = "greatest(schema_version COLLATE \"C\", $3 COLLATE \"C\")";

    private const string Columns =
        "t.id, t.slug, t.name, t.schema_name, c.connection_name, t.status, t.region_id, t.schema_version, t.tenant_type";

    /// <summary>Whether the worker of a row <c>m</c> is alive.</summary>
    public static readonly string IsAlive = AdvisoryLock.IsHeld("m.runner");

    /// <summary>Whether a worker that is alive is at the tenant of a row <c>t</c>.</summary>
    private static readonly string IsAtWork =
        "EXISTS (SELECT FROM admin.tenant_migrations m WHERE m.tenant_id = t.id AND m.state = 'running' AND "
        + IsAlive
        + ")";

    /// <summary>Writes what came of the tenant before, and claims the next one: one round trip.</summary>
    /// <param name="run">The run.</param>
    /// <param name="worker">The worker's key; it has one tenant at a time.</param>
    /// <param name="connections">The connections to take a tenant of.</param>
    /// <param name="before">What came of the tenant before; null where there was none.</param>
    /// <param name="ct">Cancels.</param>
    /// <returns>The row of the tenant, or null where none can be had now.</returns>
    public async Task<TenantRow?> NextAsync(
        Guid run,
        long worker,
        Guid[] connections,
        TenantMigrationResult? before,
        CancellationToken ct
    )
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        if (before is not null)
        {
            AddOutcome(batch, run, worker, before);
        }

        // A message whose answer was lost may have claimed one that nobody works at.
        batch.Add(
            "UPDATE admin.tenant_migrations SET state = 'pending', runner = NULL WHERE run_id = $1 AND state = 'running' AND runner = $2",
            run,
            worker
        );
        batch.Add(
            $"""
            WITH next AS (
                SELECT m.run_id, m.tenant_id FROM admin.tenant_migrations m
                WHERE m.run_id = $1 AND m.state = 'pending' AND m.connection_id = ANY($3)
                    AND m.ring = least(
                        (SELECT min(ring) FROM admin.tenant_migrations WHERE run_id = $1 AND state = 'pending'),
                        (SELECT min(ring) FROM admin.tenant_migrations WHERE run_id = $1 AND state = 'running'))
                    AND EXISTS (SELECT FROM admin.migration_runs WHERE id = $1 AND status = 'running')
                LIMIT 1 FOR UPDATE SKIP LOCKED),
            mine AS (
                UPDATE admin.tenant_migrations m SET state = 'running', runner = $2, started_at = clock_timestamp(), error = NULL
                FROM next n WHERE m.run_id = n.run_id AND m.tenant_id = n.tenant_id RETURNING m.tenant_id)
            SELECT {Columns} FROM mine m JOIN admin.tenants t ON t.id = m.tenant_id JOIN admin.database_connections c ON c.id = t.connection_id
            """,
            run,
            worker,
            connections
        );
        var reader = await batch.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);

        // Only the last statement returns rows, and the driver skips those that do not.
        return await reader.ReadAsync(ct).ConfigureAwait(false) ? Map(reader) : null;
    }

    /// <summary>Reads a tenant's row once nobody is changing it; null where there is none.</summary>
    public async Task<TenantRow?> FindAsync(TenantId tenant, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            $"""
            SELECT {Columns} FROM admin.tenants t JOIN admin.database_connections c ON c.id = t.connection_id
            WHERE t.id = $1 FOR SHARE OF t
            """,
            tenant.Value
        );
        var reader = await batch.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        return await reader.ReadAsync(ct).ConfigureAwait(false) ? Map(reader) : null;
    }

    /// <summary>Writes what came of a tenant, without claiming another.</summary>
    public async Task RecordAsync(Guid run, long worker, TenantMigrationResult result, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        AddOutcome(batch, run, worker, result);
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Says that a tenant is being migrated: its contexts wait, or are refused.</summary>
    public async Task BeginAsync(TenantId tenant, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            "UPDATE admin.tenants SET migrating_until = clock_timestamp() + $2 WHERE id = $1",
            tenant.Value,
            Duration
        );
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Says that one is not any more that was migrated outside of any run, and which version it has if that is known.</summary>
    public async Task EndAsync(TenantId tenant, TenantMigrationResult? result, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        AddLock(batch, tenant);
        batch.Add(
            $"""
            UPDATE admin.tenants t SET schema_version = CASE WHEN $2 THEN {Newer} ELSE schema_version END,
                migrating_until = CASE WHEN {IsAtWork} THEN migrating_until END WHERE id = $1
            """,
            tenant.Value,
            result is not null,
            result?.To
        );
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Whether the run goes on and these connections have work, of ours or of somebody else's.</summary>
    public async Task<bool> IsUnfinishedAsync(Guid run, Guid[] connections, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            $"UPDATE admin.tenant_migrations m SET state = 'pending', runner = NULL WHERE run_id = $1 AND state = 'running' AND NOT {IsAlive}",
            run
        );
        batch.Add(
            """
            SELECT EXISTS (SELECT FROM admin.migration_runs WHERE id = $1 AND status = 'running')
                AND EXISTS (SELECT FROM admin.tenant_migrations
                    WHERE run_id = $1 AND state IN ('pending', 'running') AND connection_id = ANY($2))
            """,
            run,
            connections
        );
        return (bool)(await batch.ExecuteScalarAsync(ct).ConfigureAwait(false))!;
    }

    /// <summary>Says that these workers are still at their tenants.</summary>
    public async Task RenewAsync(Guid run, long[] workers, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            """
            UPDATE admin.tenants t SET migrating_until = clock_timestamp() + $3 FROM admin.tenant_migrations m
            WHERE m.run_id = $1 AND m.state = 'running' AND m.runner = ANY($2) AND t.id = m.tenant_id AND t.migrating_until < clock_timestamp() + $3 / 2
            """,
            run,
            workers,
            Duration
        );
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Gives back what these workers have claimed, which is as it was before.</summary>
    /// <param name="run">The run.</param>
    /// <param name="workers">The workers.</param>
    /// <param name="begun">Those of them that had begun; others may have left a tenant to somebody who is at it still.</param>
    /// <param name="ct">Cancels.</param>
    public async Task GiveBackAsync(Guid run, long[] workers, long[] begun, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            """
            WITH mine AS (
                SELECT run_id, tenant_id, runner FROM admin.tenant_migrations
                WHERE run_id = $1 AND state = 'running' AND runner = ANY($2) FOR UPDATE),
            given AS (
                UPDATE admin.tenant_migrations m SET state = 'pending', runner = NULL FROM mine n
                WHERE m.run_id = n.run_id AND m.tenant_id = n.tenant_id)
            UPDATE admin.tenants t SET migrating_until = NULL FROM mine m WHERE t.id = m.tenant_id AND m.runner = ANY($3)
            """,
            run,
            workers,
            begun
        );
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    private static void AddOutcome(NpgsqlBatch batch, Guid run, long worker, TenantMigrationResult result)
    {
        var failed = result.Status == TenantMigrationStatus.Failed;
        if (failed)
        {
            // Those that fail take turns, and before any row of a tenant, as those that join do: the budget counts them all.
            batch.Add("UPDATE admin.migration_runs SET target = target WHERE id = $1", run);
        }

        batch.Add(
            """
            UPDATE admin.tenant_migrations SET state = $4, from_version = $5, to_version = $6, duration_ms = $7, error = $8
            WHERE run_id = $1 AND tenant_id = $2 AND runner = $3
            """,
            run,
            result.TenantId.Value,
            worker,
            failed ? "failed" : "done",
            result.From,
            result.To,
            (int)Math.Min(result.Duration.TotalMilliseconds, int.MaxValue),
            result.Error is { } e ? FailureText.Of(e) : null
        );

        // Whoever was taken for dead does not speak for the one who has taken over.
        AddLock(batch, result.TenantId);
        batch.Add(
            $"""
            UPDATE admin.tenants t SET schema_version = CASE WHEN $2 THEN schema_version ELSE {Newer} END,
                migrating_until = CASE WHEN $4 OR {IsAtWork} THEN migrating_until END WHERE id = $1
            """,
            result.TenantId.Value,
            failed,
            result.To,
            result.HadNotBegun
        );
        if (failed)
        {
            batch.Add(
                """
                UPDATE admin.migration_runs SET status = 'stopped', finished_at = clock_timestamp()
                WHERE id = $1 AND status = 'running' AND error_budget < (
                    SELECT count(*) FROM admin.tenant_migrations WHERE run_id = $1 AND state = 'failed')
                """,
                run
            );
        }
    }

    // Of two that end at the same moment the second one sees that the first has ended: its next statement begins when it has the row.
    // A DO block, since it takes no parameters but returns no rows either.
    private static void AddLock(NpgsqlBatch batch, TenantId tenant) =>
        batch.Add(
            $"DO $neo$ BEGIN PERFORM FROM admin.tenants WHERE id = '{tenant.Value:D}' FOR NO KEY UPDATE; END $neo$"
        );

    private static TenantRow Map(NpgsqlDataReader row) =>
        new()
        {
            Id = row.GetGuid(0),
            Slug = row.GetString(1),
            Name = row.GetString(2),
            SchemaName = row.GetString(3),
            ConnectionName = row.GetString(4),
            Status = row.GetString(5),
            RegionId = row.GetValue(6) as string,
            SchemaVersion = row.GetValue(7) as string,
            TenantType = row.GetValue(8) as string,
        };
}
