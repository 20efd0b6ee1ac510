namespace NeoCommons.EfCore.Admin;

/// <summary>What came of migrating a tenant.</summary>
public enum TenantMigrationStatus
{
    /// <summary>There was nothing to do.</summary>
    UpToDate,

    /// <summary>All pending migrations were applied.</summary>
    Migrated,

    /// <summary>
    /// The schema holds migrations newer than all that this application knows: a newer version has been here. Nothing was
    /// done.
    /// </summary>
    Ahead,

    /// <summary>
    /// It failed, and the schema is as it was, unless a migration that suppresses its transaction was among those pending:
    /// see <see cref="ITenantMigrator"/>.
    /// </summary>
    Failed,
}
