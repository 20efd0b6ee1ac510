namespace NeoCommons.EfCore.Admin;

/// <summary>What can be done to a tenant.</summary>
public enum TenantLifecycleAction
{
    /// <summary>It is created.</summary>
    Create,

    /// <summary>It is switched off; its data stays where it is.</summary>
    Suspend,

    /// <summary>It is switched on again.</summary>
    Resume,

    /// <summary>It gets another slug, name or schema name.</summary>
    Rename,

    /// <summary>It is put away, and kept for its retention time.</summary>
    Archive,

    /// <summary>It is taken back from the archive.</summary>
    Restore,

    /// <summary>It is removed for good.</summary>
    Delete,

    /// <summary>It gets other limits.</summary>
    Limit,
}
