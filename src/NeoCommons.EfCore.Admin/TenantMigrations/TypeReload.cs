using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Lets a running pool know the types that a migration has created.</summary>
internal static class TypeReload
{
    /// <summary>Reads the types again if a step may have changed them; the migration stands, whatever becomes of it.</summary>
    public static async Task TryAsync(
        PooledDataSource source,
        IEnumerable<MigrationStep> applied,
        ILogger log,
        CancellationToken ct
    )
    {
        if (!applied.Any(step => step.MayChangeTypes))
        {
            return;
        }

        try
        {
            await source.Source.ReloadTypesAsync(ct).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AdminLogMessages.TypesNotReloaded(log, e, source.Row.Name);
        }
    }
}
