using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore;

/// <summary>A registered context of shared tables: whoever migrates them finds them by this.</summary>
/// <param name="Type">The class.</param>
/// <param name="CreateUnbound">Makes one without a database: it has a model and migrations, and cannot open a connection.</param>
internal sealed record SharedDbContextType(Type Type, Func<IServiceProvider, DbContext> CreateUnbound);
