using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>What <c>dotnet ef migrations script --no-transactions</c> writes for the context, and psql running it: the limit.</summary>
internal static class PlainScript
{
    public static string Text { get; } = Generate();

    /// <summary>Has psql run it for each tenant, in a transaction each, and says how many seconds it took.</summary>
    /// <param name="app">Where. Tenants take turns with its databases.</param>
    /// <param name="atOnce">How many sessions there are on each server.</param>
    /// <param name="tenants">How many tenants there are.</param>
    /// <param name="createsSchemas">Whether their schemas are created too.</param>
    public static async Task<double> RunAsync(FleetApp app, int atOnce, int tenants, bool createsSchemas)
    {
        var folder = Directory.CreateTempSubdirectory("psql-");
        try
        {
            var scripts = new List<(FleetDatabase Database, string File)>();
            var workers = atOnce * app.Databases.Count;
            for (var worker = 0; worker < workers; worker++)
            {
                var path = Path.Combine(folder.FullName, $"{worker}.sql");
                scripts.Add((app.Databases[worker % app.Databases.Count], path));
                await using var file = File.CreateText(path);
                for (var tenant = worker + 1; tenant <= tenants; tenant += workers)
                {
                    var schema = FleetApp.SchemaOf(tenant);
                    var create = createsSchemas ? $"CREATE SCHEMA {schema};\n" : "";
                    await file.WriteLineAsync($"BEGIN;\n{create}SET LOCAL search_path = {schema};\n{Text}\nCOMMIT;");
                }
            }

            await app.SettleAsync();
            var watch = Stopwatch.StartNew();
            await Task.WhenAll(scripts.Select(s => Psql.RunAsync(s.Database.Server, s.Database.Name, s.File)));
            return watch.Elapsed.TotalSeconds;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Generate()
    {
        using var context = new FleetContext(new DbContextOptionsBuilder<FleetContext>().UseNpgsql().Options);
        return context.GetService<IMigrator>().GenerateScript(options: MigrationsSqlGenerationOptions.NoTransactions);
    }
}
