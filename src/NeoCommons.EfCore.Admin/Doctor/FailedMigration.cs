namespace NeoCommons.EfCore.Admin;

/// <summary>That a run could not migrate a tenant.</summary>
/// <param name="Target">What it was to reach.</param>
/// <param name="Error">Why it did not.</param>
internal sealed record FailedMigration(string? Target, string? Error);
