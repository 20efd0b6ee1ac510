namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant on its way into a run.</summary>
/// <param name="Id">The tenant.</param>
/// <param name="Version">The last migration that its schema has, or null.</param>
/// <param name="Ring">Its ring.</param>
/// <param name="Registered">The version that the registry has, unless somebody has migrated it since it was planned.</param>
internal readonly record struct QueuedTenant(TenantId Id, string? Version, int Ring = 0, string? Registered = null);
