namespace NeoCommons.EfCore.Admin;

/// <summary>What a change would make of a tenant.</summary>
/// <param name="After">The tenant as it would be; null where it would be no more.</param>
/// <param name="Notes">What else would be done, a sentence each.</param>
internal sealed record TenantForecast(TenantReport? After, params IReadOnlyList<string> Notes);
