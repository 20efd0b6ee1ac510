using System.Runtime.CompilerServices;

namespace WebSample.Tests;

/// <summary>
/// <c>dotnet ef</c> on an application with contexts of tenants and a shared one: nothing is configured, and no database
/// runs. Each call costs seconds, so there are few.
/// </summary>
public sealed class DesignTimeTests
{
    private const string Named = "BINDING=QualifiedNames";

    [Theory]
    [InlineData("LibraryContext", Named)]
    [InlineData("LanguagesContext", "BINDING=SearchPath")]
    public async Task A_model_that_has_not_changed_has_no_pending_changes(string context, string binding)
    {
        var checking = await RunAsync($"migrations has-pending-model-changes --context {context}", binding);

        Assert.True(checking.ExitCode == 0, checking.Output);
        Assert.Contains("No changes", checking.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("LibraryContext", Named)]
    [InlineData("LanguagesContext", "BINDING=SearchPath")]
    public async Task A_model_that_has_changed_is_reported(string context, string binding)
    {
        var checking = await RunAsync(
            $"migrations has-pending-model-changes --context {context}",
            binding,
            "CHANGED=yes"
        );

        Assert.True(checking.ExitCode == 1, checking.Output);
        Assert.Contains("Changes have been made to the model", checking.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Both_bindings_make_the_same_migration_and_it_names_no_tenants_schema()
    {
        var byPath = await AddAsync("BINDING=SearchPath");
        var byNames = await AddAsync(Named);

        Assert.Equal(byPath, byNames);
        Assert.Contains("class FreshContextModelSnapshot", byPath, StringComparison.Ordinal);
        Assert.DoesNotContain("$tenant", byPath, StringComparison.Ordinal);
        Assert.DoesNotContain("HasDefaultSchema", byPath, StringComparison.Ordinal);
        Assert.Contains("CreateTable(\n                name: \"Books\",\n                columns", byPath);
        Assert.DoesNotContain("name: \"Languages\"", byPath, StringComparison.Ordinal);
        Assert.Contains("principalSchema: \"shared\"", byPath, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_script_of_a_tenants_context_names_no_schema_and_that_of_a_shared_one_does()
    {
        var tenant = await RunAsync("migrations script --context LibraryContext", Named);
        var shared = await RunAsync("migrations script --context LanguagesContext", Named);

        Assert.Contains("CREATE TABLE \"Books\"", tenant.Output, StringComparison.Ordinal);
        Assert.Contains("INSERT INTO \"__EFMigrationsHistory\"", tenant.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("$tenant", tenant.Output, StringComparison.Ordinal);
        Assert.Contains("CREATE SCHEMA shared", shared.Output, StringComparison.Ordinal);
        Assert.Contains("CREATE TABLE shared.\"Languages\"", shared.Output, StringComparison.Ordinal);
        Assert.Contains("INSERT INTO shared.\"__EFMigrationsHistory\"", shared.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bundle_can_be_made_and_migrates_nobody_by_accident()
    {
        var folder = Directory.CreateTempSubdirectory("neocommons-bundle-");
        try
        {
            var bundle = Path.Combine(folder.FullName, "migrate");
            var making = await RunAsync($"migrations bundle --context LibraryContext --output {bundle}", Named);
            Assert.True(making.ExitCode == 0, making.Output);

            var running = await Tools.RunAsync(
                bundle,
                folder.FullName,
                ["--connection", "Host=127.0.0.1;Port=1;Database=any;Username=any"]
            );

            Assert.NotEqual(0, running.ExitCode);
            Assert.Contains("ITenantMigrator", running.Output, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The migration and the snapshot of a context that had none, without the time that is in their names.</summary>
    private static async Task<string> AddAsync(string binding)
    {
        // Under obj, where the compiler does not look; the tools put the snapshot where the namespace says, so it is the same.
        var name = "Ef" + Guid.NewGuid().ToString("N");
        var folder = Path.Combine("obj", name);
        var full = Path.Combine(Project, folder);
        try
        {
            var adding = await RunAsync(
                $"migrations add Initial --context FreshContext --output-dir {folder}",
                binding
            );
            Assert.True(adding.ExitCode == 0, adding.Output);
            var files = Directory.GetFiles(full).Where(f => !f.EndsWith("Designer.cs", StringComparison.Ordinal));
            return string.Concat(files.Order(StringComparer.Ordinal).Select(File.ReadAllText))
                .ReplaceLineEndings("\n")
                .Replace(name, "");
        }
        finally
        {
            if (Directory.Exists(full))
            {
                Directory.Delete(full, recursive: true);
            }
        }
    }

    private static string Project => Path.Combine(Folder(), "..", "DesignTimeApp");

    private static Task<Tools.Result> RunAsync(string arguments, params string[] environment) =>
        Tools.RunEfAsync(Project, arguments, environment);

    private static string Folder([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;
}
