namespace NeoCommons.EfCore;

/// <summary>A registered tenant context: whoever works on all of them, the migrator for one, finds them by this.</summary>
internal sealed record TenantDbContextType(Type Type);
