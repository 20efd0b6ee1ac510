using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Lets a running pool know the types that a migration has created.</summary>
internal static class TypeReload
{
    /// <summary>Reads the types again if a step may have changed them; the migration stands, whatever becomes of it.</summary>
    public static Task TryAsync(
        PooledDataSource source,
        IEnumerable<MigrationStep> applied,
        ILogger log,
        CancellationToken ct
    ) => applied.Any(step => step.MayChangeTypes) ? TryAsync(source, log, ct) : Task.CompletedTask;

    /// <summary>Reads the types again.</summary>
    public static async Task TryAsync(PooledDataSource source, ILogger log, CancellationToken ct)
    {
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
