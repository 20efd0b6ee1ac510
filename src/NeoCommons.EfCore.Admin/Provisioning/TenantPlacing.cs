using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Finds a database with room for a new tenant.</summary>
internal sealed class TenantPlacing(
    IDbContextFactory<AdminDbContext> contexts,
    ITenantPlacement placement,
    TenantPlaces places,
    ConnectionOpening opening,
    RelationCounts counts
)
{
    private const string Remedy =
        "Raise the limit in its row of admin.database_connections if the server can bear it, or register another database.";

    /// <summary>Begins a lease of the database that the tenant goes to.</summary>
    /// <exception cref="TenantConflictException">The database that was named is full, or no database has room.</exception>
    public async Task<PooledDataSource> AcquireAsync(NewTenant tenant, CancellationToken ct)
    {
        if (tenant.ConnectionName is { } named)
        {
            var source = await places.AcquireAsync(named, ct).ConfigureAwait(false);
            try
            {
                return await FindFaultAsync(source, ct).ConfigureAwait(false) is { } fault
                    ? throw new TenantConflictException(
                        tenant.Slug,
                        $"Tenant '{tenant.Slug}' cannot be placed in connection '{named}': {fault} {Remedy}"
                    )
                    : source;
            }
            catch
            {
                source.Release();
                throw;
            }
        }

        return await ChooseAsync(tenant, ct).ConfigureAwait(false);
    }

    /// <summary>Begins a lease of the database where a creation was begun: its row counts already.</summary>
    public Task<PooledDataSource> AcquireAgainAsync(string name, CancellationToken ct) => places.AcquireAsync(name, ct);

    /// <summary>Refuses one tenant too many; those who come close to the limit take turns.</summary>
    /// <param name="context">The registry, about to get the tenant's row.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="slug">The tenant's slug.</param>
    /// <param name="takeTurns">Takes a lock that lasts until the row is committed.</param>
    /// <param name="ct">Cancels.</param>
    public static async Task ThrowIfFullAsync(
        AdminDbContext context,
        DatabaseConnectionEntity connection,
        string slug,
        Func<Task> takeTurns,
        CancellationToken ct
    )
    {
        // Far from the limit, nobody waits: so many are not being created at once.
        const int Close = 200;
        if (await CountAsync().ConfigureAwait(false) < connection.MaxTenants - Close)
        {
            return;
        }

        await takeTurns().ConfigureAwait(false);
        if (await CountAsync().ConfigureAwait(false) is var count && count >= connection.MaxTenants)
        {
            throw new TenantConflictException(
                slug,
                $"Tenant '{slug}' cannot be placed in connection '{connection.ConnectionName}': it has {count} tenants and "
                    + $"takes {connection.MaxTenants} (max_tenants). {Remedy}"
            );
        }

        Task<int> CountAsync() => context.Tenants.CountAsync(t => t.ConnectionId == connection.Id, ct);
    }

    private async Task<PooledDataSource> ChooseAsync(NewTenant tenant, CancellationToken ct)
    {
        var faults = new List<string>();
        var candidates = await ListAsync(faults, ct).ConfigureAwait(false);
        while (candidates.Count > 0)
        {
            var name = await placement.ChooseAsync(tenant, candidates, ct).ConfigureAwait(false);
            if (name is null)
            {
                faults.AddRange(candidates.Select(c => $"'{c.ConnectionName}' was not chosen."));
                break;
            }

            if (candidates.RemoveAll(c => c.ConnectionName == name) == 0)
            {
                throw new InvalidOperationException(
                    $"{placement.GetType().Name} chose connection '{name}', which is not one of the candidates. Choose one of "
                        + "them, or null."
                );
            }

            var source = await places.AcquireAsync(name, ct).ConfigureAwait(false);
            string? fault;
            try
            {
                fault = await FindFaultAsync(source, ct).ConfigureAwait(false);
            }
            catch
            {
                source.Release();
                throw;
            }

            if (fault is null)
            {
                return source;
            }

            source.Release();
            faults.Add($"'{name}': {fault}");
        }

        var region = tenant.RegionId is null ? "" : $" in region '{tenant.RegionId}'";
        throw new TenantConflictException(
            tenant.Slug,
            $"No connection has room for tenant '{tenant.Slug}'{region}. {(faults.Count == 0 ? "There is no active SHARED one." : string.Join(" ", faults))} "
                + "Register another database, raise a limit in its row of admin.database_connections, or name a connection."
        );
    }

    /// <summary>The connections with room; why not, for the others.</summary>
    private async Task<List<PlacementCandidate>> ListAsync(List<string> faults, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var shared = await context
            .DatabaseConnections.Where(c => c.IsActive && c.ConnectionType == ConnectionType.Shared)
            .OrderBy(c => c.ConnectionName)
            .Select(c => new
            {
                c.AcceptsTenants,
                IsFailover = context.DatabaseConnections.Any(o => o.FailoverConnection == c.ConnectionName),
                Candidate = new PlacementCandidate
                {
                    ConnectionName = c.ConnectionName,
                    RegionId = c.RegionId,
                    Tenants = context.Tenants.Count(t => t.ConnectionId == c.Id),
                    MaxTenants = c.MaxTenants,
                },
            })
            .ToListAsync(ct)
            .ConfigureAwait(false);
        var found = new List<PlacementCandidate>();
        foreach (
            var (accepts, isFailover, candidate) in shared.Select(s => (s.AcceptsTenants, s.IsFailover, s.Candidate))
        )
        {
            if (isFailover)
            {
                faults.Add($"'{candidate.ConnectionName}': it is another's failover_connection.");
            }
            else if (!accepts)
            {
                faults.Add($"'{candidate.ConnectionName}': accepts_tenants is false.");
            }
            else if (candidate.Tenants >= candidate.MaxTenants)
            {
                faults.Add(
                    $"'{candidate.ConnectionName}': it has {candidate.Tenants} tenants and takes {candidate.MaxTenants} (max_tenants)."
                );
            }
            else
            {
                found.Add(candidate);
            }
        }

        return found;
    }

    /// <summary>Why the database's catalog should not grow; null if it may.</summary>
    /// <param name="source">Its pool.</param>
    /// <param name="ct">Cancels.</param>
    /// <param name="anew">Whether to count even where that was done lately: for relations that no tenant's row tells of.</param>
    public async Task<string?> FindFaultAsync(PooledDataSource source, CancellationToken ct, bool anew = false)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var name = source.Row.Name;
        var row = await context
            .DatabaseConnections.Where(c => c.ConnectionName == name)
            .Select(c => new { c.MaxRelations, Tenants = context.Tenants.Count(t => t.ConnectionId == c.Id) })
            .SingleOrDefaultAsync(ct)
            .ConfigureAwait(false);
        var (most, tenants) = (row?.MaxRelations ?? 0, row?.Tenants ?? 0);

        // In any case: a database that cannot be reached is found before anybody is told of a tenant to come.
        var connection = await opening.OpenNewAsync(source, pooled: true, ct).ConfigureAwait(false);
        await using var __ = connection.ConfigureAwait(false);
        if (!anew && counts.IsFarFromFull(source.Row, tenants, most))
        {
            return null;
        }

        var begun = counts.Begin();
        var command = new NpgsqlCommand(CatalogPressures.CountRelations, connection);
        await using var ___ = command.ConfigureAwait(false);
        var count = (long)(await command.ExecuteScalarAsync(ct).ConfigureAwait(false))!;
        counts.Note(source.Row, tenants, count, begun);
        return count >= most ? $"its database has {count} relations and takes {most} (max_relations)." : null;
    }
}
