using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>What <c>dotnet ef migrations script --no-transactions</c> writes for the context.</summary>
internal static class PlainScript
{
    public static string Text { get; } = Generate();

    private static string Generate()
    {
        using var context = new FleetContext(new DbContextOptionsBuilder<FleetContext>().UseNpgsql().Options);
        return context.GetService<IMigrator>().GenerateScript(options: MigrationsSqlGenerationOptions.NoTransactions);
    }
}
