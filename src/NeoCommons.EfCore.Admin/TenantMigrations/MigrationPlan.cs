namespace NeoCommons.EfCore.Admin;

/// <summary>What one schema has, and what it lacks.</summary>
/// <param name="Applied">The ids that its histories hold.</param>
/// <param name="Pending">The steps to execute, in order; none where the schema is ahead.</param>
/// <param name="IsAhead">Whether a newer version of the application has been here.</param>
internal sealed record MigrationPlan(IReadOnlyList<string> Applied, IReadOnlyList<MigrationStep> Pending, bool IsAhead)
{
    /// <summary>The last migration before, or null.</summary>
    public string? From => Applied.Max(StringComparer.Ordinal);

    /// <summary>The last migration once the plan has been executed, or null.</summary>
    public string? To => Applied.Concat(Pending.Select(s => s.Id)).Max(StringComparer.Ordinal);
}
