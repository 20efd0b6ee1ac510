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

    /// <summary>What was done to tenants, when, and by whom.</summary>
    public DbSet<TenantEventEntity> TenantEvents => Set<TenantEventEntity>();

    /// <summary>Schemas that wait for a tenant.</summary>
    public DbSet<WarmSchemaEntity> WarmSchemas => Set<WarmSchemaEntity>();

    /// <summary>The migrations of many tenants, past and present.</summary>
    public DbSet<MigrationRunEntity> MigrationRuns => Set<MigrationRunEntity>();

    /// <summary>The tenants of each run.</summary>
    public DbSet<TenantMigrationEntity> TenantMigrations => Set<TenantMigrationEntity>();

    /// <inheritdoc/>
    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);
        modelBuilder.HasDefaultSchema(SchemaNaming.AdminSchema);
        modelBuilder.ApplyConfiguration(new DatabaseConnectionMapping());
        modelBuilder.ApplyConfiguration(new TenantMapping());
        modelBuilder.ApplyConfiguration(new TenantEventMapping());
        modelBuilder.ApplyConfiguration(new WarmSchemaMapping());
        modelBuilder.ApplyConfiguration(new MigrationRunMapping());
        modelBuilder.ApplyConfiguration(new TenantMigrationMapping());
        modelBuilder.ApplyConfiguration(new ServerLeaseMapping());
    }
}
