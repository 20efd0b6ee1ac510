using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>A registered tenant context: whoever works on all of them, the migrator for one, finds them by this.</summary>
/// <param name="Type">The class.</param>
/// <param name="CreateUnbound">
/// Makes one without a tenant, whose model names no schema, as its migrations do: it cannot open a connection.
/// </param>
internal sealed record TenantDbContextType(Type Type, Func<IServiceProvider, DbContext> CreateUnbound);
