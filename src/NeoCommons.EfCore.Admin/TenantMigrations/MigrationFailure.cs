namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant that failed in a run.</summary>
/// <param name="TenantId">The tenant.</param>
/// <param name="Slug">Its slug.</param>
/// <param name="Error">Why: the migration, the SQLSTATE and the message; no row's values.</param>
public sealed record MigrationFailure(TenantId TenantId, string Slug, string Error);
