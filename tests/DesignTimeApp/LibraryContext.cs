using Microsoft.EntityFrameworkCore;

namespace DesignTimeApp;

/// <summary>A tenant's context, with a reference to a shared table.</summary>
public class LibraryContext(DbContextOptions<LibraryContext> options) : DbContext(options)
{
    public DbSet<Book> Books => Set<Book>();

    public DbSet<Language> Languages => Set<Language>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        Book.Map(modelBuilder);
        Change.ApplyTo<Book>(modelBuilder);
    }
}

/// <summary>The same, without a migration yet.</summary>
public class FreshContext(DbContextOptions<FreshContext> options) : DbContext(options)
{
    public DbSet<Book> Books => Set<Book>();

    public DbSet<Language> Languages => Set<Language>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => Book.Map(modelBuilder);
}

public class Book
{
    public long Id { get; set; }
    public required string Title { get; set; }
    public Language? Language { get; set; }

    public static void Map(ModelBuilder modelBuilder)
    {
        modelBuilder.HasSequence<long>("BookNumbers");
        modelBuilder.Entity<Book>().Property(b => b.Id).UseSequence("BookNumbers");
        modelBuilder.Entity<Language>().IsShared();
    }
}
