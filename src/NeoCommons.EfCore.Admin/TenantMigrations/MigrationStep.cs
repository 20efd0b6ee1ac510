namespace NeoCommons.EfCore.Admin;

/// <summary>One migration as SQL.</summary>
internal sealed record MigrationStep(string Id, IReadOnlyList<MigrationStatement> Statements);
