using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>Mends what is safe to mend; what cannot be is told in the finding.</summary>
internal sealed class DoctorMending(
    IDbContextFactory<AdminDbContext> contexts,
    ITenantProvisioner provisioner,
    ITenantMigrator migrator,
    TenantPlaces places,
    TenantDataSources sources,
    ConnectionOpening opening
)
{
    public async Task<TenantFinding> MendAsync(TenantFinding finding, CancellationToken ct)
    {
        try
        {
            await (
                finding.Kind switch
                {
                    TenantFindingKind.HalfMade => FinishAsync(finding.Slug!, ct),
                    TenantFindingKind.Behind => MigrateAsync(finding.Slug!, ct),
                    TenantFindingKind.OrphanSchema => DropAsync(finding.ConnectionName, finding.Schema!, ct),
                    _ => throw new InvalidOperationException($"{finding.Kind} is not mended."),
                }
            ).ConfigureAwait(false);
            return finding with { IsMended = true };
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            return finding with { Message = $"{finding.Message} It could not be mended: {FailureText.Of(e)}" };
        }
    }

    private async Task FinishAsync(string slug, CancellationToken ct)
    {
        var row = await FindAsync(slug, ct).ConfigureAwait(false);
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var (source, copyRows) = await TenantAudit.ReadSourceAsync(context, row.Id, ct).ConfigureAwait(false);
        await provisioner
            .CreateAsync(
                new NewTenant
                {
                    Slug = row.Slug,
                    Name = row.Name,
                    ConnectionName = row.Connection!.ConnectionName,
                    RegionId = row.RegionId,
                    TenantType = row.TenantType,
                    Id = new TenantId(row.Id),
                    Source = source,
                    CopyRows = copyRows,
                },
                ct
            )
            .ConfigureAwait(false);
    }

    private async Task MigrateAsync(string slug, CancellationToken ct)
    {
        var row = await FindAsync(slug, ct).ConfigureAwait(false);
        await migrator.MigrateAsync(new TenantId(row.Id), ct).ConfigureAwait(false);
    }

    private async Task<TenantEntity> FindAsync(string slug, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
            .Tenants.AsNoTracking()
            .Include(t => t.Connection)
            .SingleAsync(t => t.Slug == slug, ct)
            .ConfigureAwait(false);
    }

    private async Task DropAsync(string connectionName, string schema, CancellationToken ct)
    {
        var worker = new WorkerConnection(sources, opening);
        await using var _ = worker.ConfigureAwait(false);
        var connection = await worker.OpenAsync(connectionName, ct).ConfigureAwait(false);
        var name = SchemaName.Parse(schema);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        var isFree = await places.TryLockSchemaAsync(connection, name, TimeSpan.Zero, ct).ConfigureAwait(false);

        // Asked again under the lock that its creation would hold: it may have been made since it was looked at.
        if (!isFree || await IsKnownAsync(connectionName, schema, ct).ConfigureAwait(false))
        {
            throw new InvalidOperationException("It is being made into a tenant's right now.");
        }

        // RESTRICT: what somebody has put there meanwhile stays.
        await connection.ExecuteAsync($"DROP SCHEMA {name.Quoted} RESTRICT", ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
    }

    private async Task<bool> IsKnownAsync(string connectionName, string schema, CancellationToken ct)
    {
        var context = await contexts.CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
                .Tenants.AnyAsync(t => t.Connection!.ConnectionName == connectionName && t.SchemaName == schema, ct)
                .ConfigureAwait(false)
            || await context
                .WarmSchemas.AnyAsync(s => s.Connection!.ConnectionName == connectionName && s.SchemaName == schema, ct)
                .ConfigureAwait(false);
    }
}
