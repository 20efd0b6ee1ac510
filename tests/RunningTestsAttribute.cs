using System.Reflection;
using Xunit.v3;

[assembly: NeoCommons.EfCore.RunningTests]

namespace NeoCommons.EfCore;

/// <summary>Keeps a file for each test that runs, in the folder that <c>NEO_RUNNING_TESTS</c> names: test.sh tells which one stands still.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
internal sealed class RunningTestsAttribute : BeforeAfterTestAttribute
{
    private static readonly string? Folder = Environment.GetEnvironmentVariable("NEO_RUNNING_TESTS");

    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (FileOf(test) is { } file)
        {
            File.WriteAllText(file, test.TestDisplayName + Environment.NewLine);
        }
    }

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (FileOf(test) is { } file)
        {
            File.Delete(file);
        }
    }

    private static string? FileOf(IXunitTest test) => Folder is null ? null : Path.Combine(Folder, test.UniqueID);
}
