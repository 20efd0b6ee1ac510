using Npgsql;
using NpgsqlTypes;

namespace NeoCommons.EfCore.Admin;

/// <summary>The runs in the admin database: begun, looked at, and ended.</summary>
internal sealed class MigrationRuns(AdminDatabase database, TenantAudit audit)
{
    private const int Chunk = 5_000;

    // A run of ten thousand tenants is as many rows.
    private const string ForgetOld = """
        DELETE FROM admin.migration_runs WHERE status <> 'running' AND id NOT IN (
            SELECT id FROM admin.migration_runs ORDER BY started_at DESC LIMIT 100)
        """;

    /// <summary>Begins a run, or joins the one that applies the same migrations, and adds tenants to it.</summary>
    /// <returns>The run; null where others have migrated all of the tenants since they were planned.</returns>
    public async Task<Guid?> JoinAsync(
        FleetPlan plan,
        int? errorBudget,
        IReadOnlyList<QueuedTenant> tenants,
        CancellationToken ct
    )
    {
        var connection = await database.Source.OpenConnectionAsync(ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);

        // The row's lock keeps the run from ending before the tenants are in it.
        var join = new NpgsqlCommand(
            """
            INSERT INTO admin.migration_runs (status, target, started_by, error_budget, migrations) VALUES ('running', $1, $2, $3, $4)
            ON CONFLICT (md5(migrations)) WHERE status = 'running'
                DO UPDATE SET error_budget = coalesce(EXCLUDED.error_budget, migration_runs.error_budget)
            RETURNING id, xmax = 0
            """,
            connection
        )
        {
            Parameters =
            {
                new() { Value = plan.Target ?? "" },
                new() { Value = audit.Actor },
                new() { Value = (object?)errorBudget ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer },
                new() { Value = string.Join('\n', plan.Migrations) },
            },
        };
        await using var ___ = join.ConfigureAwait(false);
        var (run, isNew) = await ReadAsync(join, ct).ConfigureAwait(false);
        var added = 0;
        foreach (var chunk in tenants.Chunk(Chunk))
        {
            var add = new NpgsqlCommand(
                """
                INSERT INTO admin.tenant_migrations AS m (run_id, tenant_id, connection_id, ring, state, from_version)
                SELECT $1, t.id, t.connection_id, q.ring, 'pending', q.version
                FROM unnest($2::uuid[], $3::int[], $4::text[], $5::text[]) AS q (id, ring, version, registered)
                JOIN admin.tenants t ON t.id = q.id AND t.schema_version IS NOT DISTINCT FROM q.registered
                ON CONFLICT (run_id, tenant_id) DO UPDATE SET state = 'pending', runner = NULL WHERE m.state = 'failed'
                """,
                connection
            )
            {
                Parameters =
                {
                    new() { Value = run },
                    new() { Value = chunk.Select(t => t.Id.Value).ToArray() },
                    new() { Value = chunk.Select(t => t.Ring).ToArray() },
                    new() { Value = chunk.Select(t => t.Version).ToArray() },
                    new() { Value = chunk.Select(t => t.Registered).ToArray() },
                },
            };
            await using var ____ = add.ConfigureAwait(false);
            added += await add.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
        }

        if (isNew && added == 0)
        {
            return null;
        }

        await connection.ExecuteAsync(ForgetOld, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        return run;
    }

    /// <summary>The connections that the run has work on, by server; none where it has ended.</summary>
    public async Task<IReadOnlyList<Guid[]>> ServersAsync(Guid run, CancellationToken ct)
    {
        var command = database.Source.CreateCommand(
            """
            SELECT array_agg(c.id) FROM admin.database_connections c WHERE c.id IN (
                SELECT m.connection_id FROM admin.tenant_migrations m JOIN admin.migration_runs r ON r.id = m.run_id
                WHERE m.run_id = $1 AND m.state IN ('pending', 'running') AND r.status = 'running')
            GROUP BY lower(c.host), c.port
            """
        );
        await using var _ = command.ConfigureAwait(false);
        command.Parameters.Add(new() { Value = run });
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var servers = new List<Guid[]>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            servers.Add(reader.GetFieldValue<Guid[]>(0));
        }

        return servers;
    }

    /// <summary>Ends the run if nothing is left to do.</summary>
    public async Task FinishAsync(Guid run, CancellationToken ct)
    {
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);

        AddEnd(batch, "r.id = $1", run);
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Ends runs that nobody works at and that have nothing left to do: whoever worked at them was killed.</summary>
    /// <remarks>
    /// Of runs that apply what this plan applies, or less: those of an older version of the application, but not those of
    /// another one. A tenant that the plan has not looked at stays as it is.
    /// </remarks>
    /// <param name="plan">A plan by which no tenant has anything to do.</param>
    /// <param name="ct">Cancels.</param>
    public async Task FinishForgottenAsync(FleetPlan plan, CancellationToken ct)
    {
        const string Fulfilled = "string_to_array(r.migrations, E'\\n') <@ $1::text[]";
        var migrations = plan.Migrations.ToArray();
        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            $"""
            UPDATE admin.tenant_migrations m SET state = 'done' FROM admin.migration_runs r
            WHERE r.id = m.run_id AND r.status = 'running' AND {Fulfilled} AND m.state IN ('pending', 'running')
                AND NOT EXISTS (SELECT FROM admin.tenant_migrations w WHERE w.run_id = r.id AND w.state = 'running'
                    AND {AdvisoryLock.IsHeld("w.runner")})
                AND (m.tenant_id = ANY($2) OR m.tenant_id IN (
                    SELECT id FROM admin.tenants WHERE status NOT IN ('active', 'suspended')))
            """,
            migrations,
            plan.Tenants.Select(t => t.TenantId.Value).ToArray()
        );
        AddEnd(batch, Fulfilled, migrations);
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>The run, or the newest one; null where there is none.</summary>
    public async Task<MigrationRun?> FindAsync(Guid? run, CancellationToken ct)
    {
        var connection = await database.OpenAsync(ct).ConfigureAwait(false);
        await using var ___ = connection.ConfigureAwait(false);
        var command = new NpgsqlCommand(
            $"""
            SELECT r.id, r.status, r.target, r.started_at, r.finished_at,
                count(*) FILTER (WHERE m.state = 'pending'), count(*) FILTER (WHERE m.state = 'running'),
                count(*) FILTER (WHERE m.state = 'done'), count(*) FILTER (WHERE m.state = 'failed'),
                count(*) FILTER (WHERE m.state = 'running' AND {MigrationClaims.IsAlive})
            FROM admin.migration_runs r LEFT JOIN admin.tenant_migrations m ON m.run_id = r.id
            WHERE r.id = coalesce($1, (SELECT id FROM admin.migration_runs ORDER BY started_at DESC LIMIT 1))
            GROUP BY r.id
            """,
            connection
        );
        await using var _ = command.ConfigureAwait(false);
        command.Parameters.Add(new() { Value = (object?)run ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        return await reader.ReadAsync(ct).ConfigureAwait(false)
            ? new MigrationRun
            {
                Id = reader.GetGuid(0),
                Status = Enum.Parse<MigrationRunStatus>(reader.GetString(1), ignoreCase: true),
                Target = reader.GetString(2),
                StartedAt = reader.GetFieldValue<DateTimeOffset>(3),
                FinishedAt = reader.GetFieldValue<DateTimeOffset?>(4),
                Pending = (int)reader.GetInt64(5),
                Running = (int)reader.GetInt64(6),
                Done = (int)reader.GetInt64(7),
                Failed = (int)reader.GetInt64(8),
                Workers = (int)reader.GetInt64(9),
            }
            : null;
    }

    /// <summary>The same, with the tenants that failed.</summary>
    public async Task<MigrationRun?> FindWithFailuresAsync(Guid? run, CancellationToken ct)
    {
        var found = await FindAsync(run, ct).ConfigureAwait(false);
        if (found is null or { Failed: 0 })
        {
            return found;
        }

        var command = database.Source.CreateCommand(
            """
            SELECT t.id, t.slug, m.error FROM admin.tenant_migrations m JOIN admin.tenants t ON t.id = m.tenant_id
            WHERE m.run_id = $1 AND m.state = 'failed' ORDER BY t.slug LIMIT 100
            """
        );
        await using var _ = command.ConfigureAwait(false);
        command.Parameters.Add(new() { Value = found.Id!.Value });
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var failures = new List<MigrationFailure>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            failures.Add(
                new MigrationFailure(
                    new TenantId(reader.GetGuid(0)),
                    reader.GetString(1),
                    reader.GetValue(2) as string ?? ""
                )
            );
        }

        return found with
        {
            Failures = failures,
        };
    }

    /// <summary>
    /// Writes versions that the schemas have and the registry does not know, unless it has changed since: one statement.
    /// </summary>
    public async Task WriteVersionsAsync(IReadOnlyList<QueuedTenant> tenants, CancellationToken ct)
    {
        if (tenants.Count == 0)
        {
            return;
        }

        var batch = database.Source.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Add(
            """
            UPDATE admin.tenants t SET schema_version = v.version
            FROM unnest($1::uuid[], $2::text[], $3::text[]) AS v (id, version, registered)
            WHERE t.id = v.id AND t.schema_version IS NOT DISTINCT FROM v.registered
            """,
            tenants.Select(t => t.Id.Value).ToArray(),
            tenants.Select(t => t.Version).ToArray(),
            tenants.Select(t => t.Registered).ToArray()
        );
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Ends the runs that go on and have nothing left to do.</summary>
    private static void AddEnd(NpgsqlBatch batch, string which, object value)
    {
        // Two statements: the second sees what those have added who held the lock.
        batch.Add($"SELECT FROM admin.migration_runs r WHERE {which} AND r.status = 'running' FOR UPDATE", value);
        batch.Add(
            $"""
            UPDATE admin.migration_runs r SET finished_at = clock_timestamp(), status = CASE WHEN EXISTS (
                SELECT FROM admin.tenant_migrations WHERE run_id = r.id AND state = 'failed') THEN 'failed' ELSE 'completed' END
            WHERE {which} AND r.status = 'running' AND NOT EXISTS (
                SELECT FROM admin.tenant_migrations WHERE run_id = r.id AND state IN ('pending', 'running'))
            """,
            value
        );
    }

    private static async Task<(Guid Run, bool IsNew)> ReadAsync(NpgsqlCommand join, CancellationToken ct)
    {
        var reader = await join.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var _ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return (reader.GetGuid(0), reader.GetBoolean(1));
    }
}
