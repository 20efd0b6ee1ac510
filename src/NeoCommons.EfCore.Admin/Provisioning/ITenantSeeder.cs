namespace NeoCommons.EfCore.Admin;

/// <summary>Writes what a new tenant must have before it can be used; add one with <c>AddTenantSeeder</c>.</summary>
/// <remarks>
/// Called in the order of registration when the schema is complete and the tenant still
/// <see cref="TenantStatus.Provisioning"/>, so that nobody else sees it. If it fails, the tenant is taken back; if the
/// process dies, it is called again when the tenant is created again: write it so that it can be repeated.
/// </remarks>
public interface ITenantSeeder
{
    /// <summary>Seeds the tenant; an exception ends the creation and reaches whoever asked for it.</summary>
    Task SeedAsync(TenantSeeding seeding, CancellationToken ct = default);
}
