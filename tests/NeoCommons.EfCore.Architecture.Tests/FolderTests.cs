namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>A folder is a step of the data path, and dependencies point to earlier steps only.</summary>
public sealed class FolderTests
{
    /// <summary>The folders that each folder of the runtime package may use, besides itself.</summary>
    private static readonly Dictionary<string, string[]> Earlier = new(StringComparer.Ordinal)
    {
        ["Diagnostics"] = [],
        ["Tenants"] = ["Diagnostics"],
        ["Connections"] = ["Diagnostics", "Tenants"],
        ["Contexts"] = ["Diagnostics", "Tenants", "Connections"],
        ["Migrations"] = ["Diagnostics", "Tenants", "Connections", "Contexts"],
        ["HealthChecks"] = ["Diagnostics", "Tenants", "Connections", "Contexts"],
        ["DependencyInjection"] = ["Diagnostics", "Tenants", "Connections", "Contexts", "Migrations", "HealthChecks"],
    };

    [Fact]
    public void The_runtime_package_depends_on_earlier_steps_only() =>
        Assert.Empty(Uses(Repository.Core).Where(IsBackwards).Select(Describe).Distinct());

    [Fact]
    public void Every_type_of_the_runtime_package_lies_in_a_known_folder() =>
        Assert.Empty(
            Repository
                .FolderOfEachType(Repository.Core)
                .Where(type => !Earlier.ContainsKey(type.Value))
                .Select(type => $"{type.Value}/{type.Key}")
        );

    [Fact]
    public void Every_compiled_type_has_a_source()
    {
        foreach (var package in Repository.Packages)
        {
            using var module = Repository.Read(package);
            var folders = Repository.FolderOfEachType(package);
            var compiled = module
                .Types.Where(type => Repository.Packages.Contains(type.Namespace))
                .Select(type => Plain(type.Name))
                .Where(name => !name.Contains('<', StringComparison.Ordinal));

            Assert.Empty(compiled.Except(folders.Keys));
        }
    }

    [Fact]
    public void The_rule_sees_a_use_in_an_async_body_and_one_in_a_signature()
    {
        // Uses that exist and point the right way: were they not seen, a wrong one would not be either.
        var uses = Uses(Repository.Core).ToHashSet();

        Assert.Contains(new Use("ConnectionsHealthCheck", "HealthChecks", "ConnectionMonitor", "Connections"), uses);
        Assert.Contains(new Use("TenantDataSources", "Connections", "LogMessages", "Diagnostics"), uses);
        Assert.Contains(new Use("TenantDbContextFactory", "Contexts", "SearchPath", "Connections"), uses);
        Assert.Contains(new Use("CurrentTenantDbContextFactory", "Contexts", "Tenant", "Tenants"), uses);
    }

    [Theory]
    [InlineData("Connections", "Contexts", true)]
    [InlineData("Contexts", "Connections", false)]
    [InlineData("Tenants", "Diagnostics", false)]
    [InlineData("Diagnostics", "Tenants", true)]
    [InlineData("HealthChecks", "DependencyInjection", true)]
    [InlineData("Connections", "Connections", false)]
    public void The_rule_knows_its_direction(string from, string to, bool backwards) =>
        Assert.Equal(backwards, IsBackwards(new Use("A", from, "B", to)));

    private static bool IsBackwards(Use use) =>
        use.From != use.To && !(Earlier.TryGetValue(use.From, out var earlier) && earlier.Contains(use.To));

    private static string Describe(Use use) => $"{use.From}/{use.Type} uses {use.To}/{use.Used}";

    private static List<Use> Uses(string package)
    {
        using var module = Repository.Read(package);
        var folders = Repository.FolderOfEachType(package);
        var uses = new List<Use>();
        foreach (var type in module.Types)
        {
            if (!folders.TryGetValue(Plain(type.Name), out var from))
            {
                continue;
            }

            foreach (var used in TypeUses.Of(type).Select(TypeUses.Outermost).Where(used => used.Scope == module))
            {
                if (folders.TryGetValue(Plain(used.Name), out var to))
                {
                    uses.Add(new Use(Plain(type.Name), from, Plain(used.Name), to));
                }
            }
        }

        return uses;
    }

    private static string Plain(string name) => name.Split('`')[0];

    private sealed record Use(string Type, string From, string Used, string To);
}
