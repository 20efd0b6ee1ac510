namespace NeoCommons.EfCore;

/// <summary>What becomes of a context whose model is newer than its tenant's schema.</summary>
/// <remarks>
/// The schema is behind where <see cref="Tenant.SchemaVersion"/> is older than the newest migration of the context that
/// is not marked with <see cref="BackwardCompatibleMigrationAttribute"/>. A tenant whose version is not known passes.
/// </remarks>
public enum SchemaBehind
{
    /// <summary><see cref="TenantUnavailableException"/>: the tenant is to be migrated first. The default.</summary>
    Refuse,

    /// <summary>Waits for somebody to migrate it, as long as <c>WaitForMigration</c> says, and then refuses.</summary>
    Wait,

    /// <summary>Is made all the same: for applications that work on schemas of any age.</summary>
    Allow,
}
