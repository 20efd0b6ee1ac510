using Microsoft.EntityFrameworkCore;

namespace DesignTimeApp;

/// <summary>A context of shared tables.</summary>
public class LanguagesContext(DbContextOptions<LanguagesContext> options) : DbContext(options)
{
    public DbSet<Language> Languages => Set<Language>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => Change.ApplyTo<Language>(modelBuilder);
}

public class Language
{
    public int Id { get; set; }
    public required string Name { get; set; }
}
