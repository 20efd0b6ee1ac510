using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes and migrates the schema that tenants are copied from: what tenants of every type have in common.</summary>
internal sealed class TemplateRefresh(
    TenantPlaces places,
    SchemaBuilding building,
    ConnectionOpening opening,
    TenantMigrationScripts scripts,
    IOptions<SchemaNaming> naming
)
{
    private const string Mark = "NeoCommons template";

    public async Task RefreshAsync(string connectionName, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        var template = naming.Value.Resolve(SchemaKind.Template);
        using var apart = AmbientTransaction.Suppress();
        var source = await places.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            await building
                .BuildAsync(source, template, scripts.For((string?)null), Mark, isTemplate: true, ct)
                .ConfigureAwait(false);
        }
        finally
        {
            source.Release();
        }
    }

    /// <summary>The migrations that the template lacks, all of them where there is none; changes nothing.</summary>
    public async Task<IReadOnlyList<string>> FindPendingAsync(string connectionName, CancellationToken ct)
    {
        var template = naming.Value.Resolve(SchemaKind.Template);
        using var apart = AmbientTransaction.Suppress();
        var source = await places.AcquireAsync(connectionName, ct).ConfigureAwait(false);
        try
        {
            var connection = await opening.OpenNewAsync(source, pooled: false, ct).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var pending = new List<string>();
            foreach (var script in scripts.For((string?)null))
            {
                var applied = await script.History.ReadAsync(connection, template, ct).ConfigureAwait(false) ?? [];
                pending.AddRange(script.Steps.Select(s => s.Id).Except(applied, StringComparer.Ordinal));
            }

            return pending;
        }
        finally
        {
            source.Release();
        }
    }
}
