using System.Runtime.CompilerServices;

namespace NeoCommons.EfCore.Architecture.Tests.Docs;

/// <summary>The code that the README shows is code that is compiled.</summary>
public sealed class ReadmeTests
{
    [Fact]
    public void The_code_in_the_readme_is_the_quick_start_sample()
    {
        var readme = File.ReadAllText(Path.Combine(Root(), "README.md"));
        var sample = File.ReadAllText(Path.Combine(Root(), "samples", "QuickStart", "Program.cs"));

        Assert.Contains("```csharp\n" + sample.Trim() + "\n```", readme);
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
