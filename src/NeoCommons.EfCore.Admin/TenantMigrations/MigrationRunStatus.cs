namespace NeoCommons.EfCore.Admin;

/// <summary>How far the migration of many tenants got.</summary>
public enum MigrationRunStatus
{
    /// <summary>Tenants are left. Whether somebody works at it is another question: a killed run is resumed.</summary>
    Running,

    /// <summary>Every tenant is migrated.</summary>
    Completed,

    /// <summary>Every tenant was tried; some failed, and the next run tries them again.</summary>
    Failed,

    /// <summary>More tenants failed than the error budget allows, and no more were begun.</summary>
    Stopped,
}
