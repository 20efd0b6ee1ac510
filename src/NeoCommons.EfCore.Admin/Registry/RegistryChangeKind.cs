namespace NeoCommons.EfCore.Admin;

/// <summary>What was changed in the registry.</summary>
internal enum RegistryChangeKind
{
    /// <summary>One tenant.</summary>
    Tenant,

    /// <summary>All of them: the table was truncated.</summary>
    Tenants,

    /// <summary>The connections.</summary>
    Connections,
}
