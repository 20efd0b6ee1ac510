using Microsoft.EntityFrameworkCore;

namespace DesignTimeApp;

/// <summary>A change of a model that no migration holds, where the environment asks for it.</summary>
internal static class Change
{
    public static void ApplyTo<TEntity>(ModelBuilder modelBuilder)
        where TEntity : class
    {
        if (Environment.GetEnvironmentVariable("CHANGED") is not null)
        {
            modelBuilder.Entity<TEntity>().Property<string?>("Remark");
        }
    }
}
