using System.Xml.Linq;

namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>Packages build on each other one way: runtime, admin, ASP.NET Core; the test kit stands beside.</summary>
public sealed class PackageTests
{
    [Theory]
    [InlineData(Repository.Core, "")]
    [InlineData(Repository.Admin, Repository.Core)]
    [InlineData(Repository.AspNetCore, Repository.Core + " " + Repository.Admin)]
    [InlineData(Repository.Testing, "")]
    public void A_package_uses_only_those_before_it(string package, string allowed)
    {
        var ours = Project(package)
            .Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value))
            .Concat(Assemblies(package).Where(name => name.StartsWith(Repository.Core, StringComparison.Ordinal)));

        Assert.Empty(ours.Except(allowed.Split(' ')));
    }

    [Theory]
    [InlineData(Repository.Core)]
    [InlineData(Repository.Admin)]
    [InlineData(Repository.Testing)]
    public void Only_one_package_uses_ASP_NET_Core(string package)
    {
        Assert.Empty(Project(package).Descendants("FrameworkReference"));
        Assert.DoesNotContain(
            Project(package).Descendants("PackageReference").Select(reference => reference.Attribute("Include")!.Value),
            IsAspNetCore
        );
        Assert.DoesNotContain(Assemblies(package), IsAspNetCore);
    }

    [Fact]
    public void The_solution_lists_every_project_once()
    {
        var listed = File.ReadAllLines(Path.Combine(Repository.Root, "NeoCommons.EfCore.sln"))
            .Where(line => line.StartsWith("Project(", StringComparison.Ordinal))
            .Select(line => line.Split('"')[5].Replace('\\', '/'))
            .Where(path => path.EndsWith(".csproj", StringComparison.Ordinal));
        var existing = new[] { "src", "tests", "samples", "benchmarks", "eng" }
            .Select(folder => Path.Combine(Repository.Root, folder))
            .Where(Directory.Exists)
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.csproj", SearchOption.AllDirectories))
            .Select(Repository.Relative)
            .Where(path => !path.Split('/').Any(part => part is "bin" or "obj"));

        Assert.Equal(existing.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_package_is_looked_at() =>
        Assert.Equal(
            Repository.Packages.Order(StringComparer.Ordinal),
            Directory
                .EnumerateDirectories(Path.Combine(Repository.Root, "src"))
                .Select(folder => Path.GetFileName(folder)!)
                .Where(name => Directory.EnumerateFiles(Path.Combine(Repository.Root, "src", name), "*.csproj").Any())
                .Order(StringComparer.Ordinal)
        );

    private static bool IsAspNetCore(string name) => name.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal);

    private static XDocument Project(string package) =>
        XDocument.Load(Path.Combine(Repository.Root, "src", package, package + ".csproj"));

    private static IEnumerable<string> Assemblies(string package)
    {
        using var module = Repository.Read(package);
        return [.. module.AssemblyReferences.Select(reference => reference.Name)];
    }
}
