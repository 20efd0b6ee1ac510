namespace NeoCommons.EfCore.Admin;

/// <summary>What became of the shared tables of one database.</summary>
/// <param name="ConnectionName">The connection.</param>
/// <param name="From">The last migration before, or null.</param>
/// <param name="To">The last migration now, or null.</param>
/// <param name="Applied">The migrations that were applied.</param>
/// <param name="IsAhead">Whether a newer version of the application has been here, so that nothing was done.</param>
internal sealed record SharedMigrationResult(
    string ConnectionName,
    string? From,
    string? To,
    IReadOnlyList<string> Applied,
    bool IsAhead
);
