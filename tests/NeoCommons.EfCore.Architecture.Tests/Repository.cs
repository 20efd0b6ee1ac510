using System.Text.RegularExpressions;
using Mono.Cecil;

namespace NeoCommons.EfCore.Architecture.Tests;

/// <summary>The sources and the compiled assemblies that the rules are about.</summary>
internal static partial class Repository
{
    public const string Core = "NeoCommons.EfCore";
    public const string Admin = "NeoCommons.EfCore.Admin";
    public const string AspNetCore = "NeoCommons.EfCore.AspNetCore";
    public const string Testing = "NeoCommons.EfCore.Testing";

    public static readonly string[] Packages = [Core, Admin, AspNetCore, Testing];

    public static string Root { get; } = FindRoot();

    public static TheoryData<string> EachPackage => [.. Packages];

    public static ModuleDefinition Read(string package) =>
        ModuleDefinition.ReadModule(Path.Combine(AppContext.BaseDirectory, package + ".dll"));

    /// <summary>The source files of a package, or of all where none is named, without what tools generated.</summary>
    public static IEnumerable<string> Sources(string? package = null) =>
        Directory
            .EnumerateFiles(Path.Combine(Root, "src", package ?? ""), "*.cs", SearchOption.AllDirectories)
            .Where(file => !Relative(file).Split('/').Any(part => part is "bin" or "obj" or "Migrations"));

    public static string Relative(string file) => Path.GetRelativePath(Root, file).Replace('\\', '/');

    /// <summary>The names of the top-level types that a file declares; the namespace is the file's, so none is indented.</summary>
    public static IEnumerable<(string Name, bool IsPublic)> DeclaredIn(string file) =>
        Declaration()
            .Matches(File.ReadAllText(file))
            .Select(match => (match.Groups["name"].Value, match.Value.StartsWith("public ", StringComparison.Ordinal)));

    /// <summary>The folder under the project in which each type's source lies.</summary>
    public static IReadOnlyDictionary<string, string> FolderOfEachType(string package)
    {
        var folders = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Sources(package))
        {
            var parts = Path.GetRelativePath(Path.Combine(Root, "src", package), file).Replace('\\', '/').Split('/');
            foreach (var (name, _) in DeclaredIn(file))
            {
                folders[name] = parts.Length == 1 ? "" : parts[0];
            }
        }

        return folders;
    }

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "NeoCommons.EfCore.sln")))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException("No folder above the tests holds NeoCommons.EfCore.sln.");
    }

    [GeneratedRegex(
        @"^(?:(?:public|internal|file|sealed|static|abstract|partial|readonly|ref|unsafe)\s+)*(?:record\s+(?:struct|class)|class|record|struct|interface|enum|delegate\s+[^\s(]+)\s+(?<name>\w+)",
        RegexOptions.Multiline
    )]
    private static partial Regex Declaration();
}
