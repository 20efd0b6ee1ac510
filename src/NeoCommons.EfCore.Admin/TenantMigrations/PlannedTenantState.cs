namespace NeoCommons.EfCore.Admin;

/// <summary>What a run would do to a tenant.</summary>
public enum PlannedTenantState
{
    /// <summary>Nothing: it has every migration.</summary>
    UpToDate,

    /// <summary>Nothing: a newer version of the application has been here.</summary>
    Ahead,

    /// <summary>It would be migrated.</summary>
    Pending,

    /// <summary>It would be tried, and probably fail: its database cannot be asked, or its schema is not there.</summary>
    Unknown,
}
