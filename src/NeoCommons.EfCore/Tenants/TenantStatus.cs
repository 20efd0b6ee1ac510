namespace NeoCommons.EfCore;

/// <summary>Where a tenant stands in its life. Only the contexts of an <see cref="Active"/> tenant can be used.</summary>
public enum TenantStatus
{
    /// <summary>Being made: the schema may be missing or half filled.</summary>
    Provisioning,

    /// <summary>In use.</summary>
    Active,

    /// <summary>Switched off by an operator; data is kept and untouched.</summary>
    Suspended,

    /// <summary>Out of use and kept for its retention time.</summary>
    Archived,
}
