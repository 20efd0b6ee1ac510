namespace NeoCommons.EfCore.Benchmarks.Profile;

/// <summary>Whose code a frame is.</summary>
internal static class Owner
{
    public const string Ours = "NeoCommons.EfCore";
    public const string Benchmark = "this benchmark";
    public const string Runtime = "System.* and Microsoft.Extensions.*";
    public const string Native = "the runtime's native code: JIT, GC, stubs";
    public const string Kernel = "the kernel: sockets, threads";

    /// <summary>All of them, in the order of a report.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        Ours,
        "EF Core",
        "Npgsql.EntityFrameworkCore.PostgreSQL",
        "Npgsql",
        Runtime,
        Native,
        Kernel,
        Benchmark,
    ];

    public static string Of(PerfFrame frame) =>
        frame.Module switch
        {
            "[kernel.kallsyms]" => Kernel,
            _ when frame.Method.StartsWith("dynamicClass::IL_STUB", StringComparison.Ordinal) => Native,
            var module when module.StartsWith("NeoCommons.EfCore.Benchmarks", StringComparison.Ordinal) => Benchmark,
            var module when module.StartsWith("NeoCommons.", StringComparison.Ordinal) => Ours,
            var module when module.StartsWith("Microsoft.EntityFrameworkCore", StringComparison.Ordinal) => "EF Core",
            // EF compiles queries and the access to properties at run time; nobody else does here.
            "Anonymously Hosted DynamicMethods Assembly" => "EF Core",
            "Npgsql" or "Npgsql.EntityFrameworkCore.PostgreSQL" => frame.Module,
            var module
                when module.StartsWith("System.", StringComparison.Ordinal)
                    || module.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal) => Runtime,
            _ => Native,
        };

    /// <summary>Whether what it does is done for whoever has called it. The kernel's callers are not known: libc hides them from perf.</summary>
    public static bool WorksForCallers(string owner) => owner is Runtime or Native;

    /// <summary>The owner of the innermost frame that is not of the runtime, or the runtime.</summary>
    public static string CallerOf(IReadOnlyList<PerfFrame> stack) =>
        stack.Select(Of).FirstOrDefault(owner => !WorksForCallers(owner)) ?? Of(stack[0]);
}
