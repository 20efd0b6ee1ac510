using System.Data;
using Dapper;
using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>SQL of the application: through EF, on the context's connection, and on a connection of the tenant.</summary>
internal static class RawSql
{
    public static IReadOnlyList<FuzzOperation> All { get; } =
    [
        Read("FromSql", async s => s.CheckRows(await FromSql(s).AsNoTracking().ToListAsync(s.Ct))),
        Read(
            "FromSql, composed over",
            async s => s.CheckRows(await FromSql(s).Where(c => c.IsSeed).AsNoTracking().ToListAsync(s.Ct))
        ),
        Read(
            "SqlQuery",
            async s =>
                s.Check(
                    await s
                        .Context.Database.SqlQueryRaw<string>($"SELECT tenant AS \"Value\" FROM {s.Table} LIMIT 5")
                        .ToListAsync(s.Ct)
                )
        ),
        new FuzzOperation(
            "ExecuteSql",
            Writes: true,
            Doors.None,
            async s =>
                s.CheckAffected(
                    await s.Context.Database.ExecuteSqlRawAsync(
                        $"INSERT INTO {s.Table} (tenant, writer) VALUES ({{0}}, {{0}})",
                        [s.Tenant.Slug],
                        s.Ct
                    ),
                    1
                )
        ),
        Read(
            "Dapper on an opened connection",
            async s =>
            {
                await s.Context.Database.OpenConnectionAsync(s.Ct);
                try
                {
                    s.Check(await DapperAsync(s));
                }
                finally
                {
                    await s.Context.Database.CloseConnectionAsync();
                }
            }
        ),
        Read("Dapper opens the connection", async s => s.Check(await DapperAsync(s)), Doors.Reopened),
        Read("the session is reset", s => OnChangedSessionAsync(s, "RESET ALL"), Doors.Session),
        Read("the session is discarded", s => OnChangedSessionAsync(s, "DISCARD ALL"), Doors.Discard),
        Read("the path is led to public", s => OnChangedSessionAsync(s, "SET search_path = public"), Doors.Session),
        new FuzzOperation(
            "a temporary table of the same name",
            Writes: true,
            Doors.Session,
            s =>
                OnChangedSessionAsync(
                    s,
                    $"CREATE TEMP TABLE IF NOT EXISTS {FuzzDatabase.Table} AS SELECT 1::bigint AS id, 'TEMP' AS tenant, "
                        + "'TEMP' AS writer, true AS is_seed, 0 AS touched, '' AS note"
                )
        ),
        Read(
            "a raw connection of the tenant",
            async s =>
            {
                await using var connection = await s.Driver.OpenAsync(s.Tenant, s.Ct);
                s.Check([.. await connection.QueryAsync<string>(Select(s.TableOutsideEf, s.Ct))]);
                s.Check([.. await connection.QueryAsync<string>(Select(s.TableOutsideEf, s.Ct))]);
            },
            Doors.Raw
        ),
    ];

    private static FuzzOperation Read(string name, Func<FuzzStep, Task> execute, Doors needs = Doors.None) =>
        new(name, Writes: false, needs, execute);

    private static IQueryable<Canary> FromSql(FuzzStep s) =>
        s.Context.Canaries.FromSqlRaw($"SELECT * FROM {s.Table} WHERE is_seed");

    private static async Task<IReadOnlyCollection<string>> DapperAsync(FuzzStep s) =>
        [.. await s.Context.Database.GetDbConnection().QueryAsync<string>(Select(s.TableOutsideEf, s.Ct))];

    private static CommandDefinition Select(string table, CancellationToken ct) =>
        new($"SELECT tenant FROM {table} LIMIT 5", cancellationToken: ct);

    private static async Task OnChangedSessionAsync(FuzzStep s, string change)
    {
        await s.Context.Database.OpenConnectionAsync(s.Ct);
        try
        {
            await s.Context.Database.ExecuteSqlRawAsync(change, s.Ct);
            s.CheckRows(await s.Context.Canaries.Where(c => c.IsSeed).AsNoTracking().ToListAsync(s.Ct));
        }
        finally
        {
            // An earlier operation may have left it open too; the application's own raw SQL would run on what was set here.
            for (var i = 0; i < 8 && s.Context.Database.GetDbConnection().State == ConnectionState.Open; i++)
            {
                await s.Context.Database.CloseConnectionAsync();
            }
        }
    }
}
