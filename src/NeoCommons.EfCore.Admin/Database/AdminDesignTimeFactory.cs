using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

namespace NeoCommons.EfCore.Admin;

/// <summary>Makes the context for <c>dotnet ef migrations add</c> in this project; it has no connection.</summary>
internal sealed class AdminDesignTimeFactory : IDesignTimeDbContextFactory<AdminDbContext>
{
    public AdminDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<AdminDbContext>().UseAdminSchema().Options);
}
