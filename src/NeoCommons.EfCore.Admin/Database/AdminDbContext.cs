using Microsoft.EntityFrameworkCore;

namespace NeoCommons.EfCore.Admin;

/// <summary>The registry of databases and tenants: schema <c>admin</c> of the admin database.</summary>
/// <remarks>
/// An application may derive from it to map more tables beside ours; a derived context has migrations of its own for
/// those. Changes that are made here, or by plain SQL, take effect in every process when it reads the registry again.
/// </remarks>
public class AdminDbContext : DbContext
{
    /// <summary>Makes a context with these options.</summary>
    public AdminDbContext(DbContextOptions<AdminDbContext> options)
        : base(options) { }

    /// <summary>Makes a derived context.</summary>
    protected AdminDbContext(DbContextOptions options)
        : base(options) { }

    /// <summary>The registered databases.</summary>
    public DbSet<DatabaseConnectionEntity> DatabaseConnections => Set<DatabaseConnectionEntity>();

    /// <summary>The tenants.</summary>
    public DbSet<TenantEntity> Tenants => Set<TenantEntity>();

    /// <inheritdoc/>
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);
        modelBuilder.HasDefaultSchema(SchemaNaming.AdminSchema);
        modelBuilder.ApplyConfiguration(new DatabaseConnectionMapping());
        modelBuilder.ApplyConfiguration(new TenantMapping());
    }
}
