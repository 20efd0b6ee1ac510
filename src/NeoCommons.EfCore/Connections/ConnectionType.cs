namespace NeoCommons.EfCore;

/// <summary>What a registered database is used for. Stored in upper case: <c>SHARED</c>.</summary>
public enum ConnectionType
{
    /// <summary>The platform's own database.</summary>
    Admin,

    /// <summary>Many tenants, each in its own schema.</summary>
    Shared,

    /// <summary>Reporting.</summary>
    Analytics,

    /// <summary>One tenant's own database.</summary>
    Dedicated,
}
