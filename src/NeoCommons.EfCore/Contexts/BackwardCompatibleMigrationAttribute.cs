namespace NeoCommons.EfCore;

/// <summary>
/// Declares that the application works on schemas that lack this migration: a table that is not used yet, an index.
/// </summary>
/// <remarks>
/// Contexts are then made for tenants that the migration has not reached yet, instead of being refused. It counts while all
/// later migrations of the context have it too.
/// </remarks>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class BackwardCompatibleMigrationAttribute : Attribute;
