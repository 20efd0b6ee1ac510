namespace NeoCommons.EfCore.Admin;

/// <summary>What a new tenant's schema is made from.</summary>
public enum TenantSource
{
    /// <summary>The migrations of the registered tenant contexts, all of them.</summary>
    Migrations,

    /// <summary>
    /// The template schema of the tenant's database (<see cref="SchemaNaming.Template"/>), copied, and the migrations that
    /// it lacks. <see cref="ITenantProvisioner.RefreshTemplateAsync"/> makes it; an operator may have added to it.
    /// </summary>
    Template,
}
