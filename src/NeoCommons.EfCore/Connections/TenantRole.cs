namespace NeoCommons.EfCore;

/// <summary>The role that a tenant's sessions take on where <see cref="ConnectionOptions.TenantRoles"/> is on.</summary>
/// <remarks>
/// Named after the tenant's id: roles belong to all databases of a server, and two of those may hold a schema of the same
/// name. The names need no quotes and no escapes.
/// </remarks>
internal static class TenantRole
{
    /// <summary>The role that all tenants' roles are members of: what it may, each tenant may.</summary>
    public const string Group = "neocommons_tenants";

    /// <summary>What <c>SET ROLE</c> takes for "no role".</summary>
    public const string None = "NONE";

    /// <summary>The name of the tenant's role, 50 characters long.</summary>
    public static string Of(TenantId tenant) => "neocommons_tenant_" + tenant.Value.ToString("N");
}
