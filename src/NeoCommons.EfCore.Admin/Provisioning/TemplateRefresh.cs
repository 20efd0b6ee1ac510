using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes and migrates the schema that tenants are copied from: what tenants of every type have in common.</summary>
internal sealed class TemplateRefresh(
    TenantPlaces places,
    SchemaBuilding building,
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
}
