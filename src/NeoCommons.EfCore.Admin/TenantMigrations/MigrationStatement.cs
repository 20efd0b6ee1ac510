namespace NeoCommons.EfCore.Admin;

/// <summary>One statement of a migration; one that is not transactional must run outside a transaction.</summary>
internal sealed record MigrationStatement(string Sql, bool IsTransactional);
