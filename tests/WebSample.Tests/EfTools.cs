using System.Diagnostics;

namespace WebSample.Tests;

/// <summary>Runs <c>dotnet ef</c> on a project that is built already, with no address of a database in the environment.</summary>
internal static class EfTools
{
    public static async Task<Result> RunAsync(string project, string arguments, params string[] environment)
    {
        // The tools run what is built: the project beside these tests.
        var configuration = AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal)
            ? "Release"
            : "Debug";
        return await RunProcessAsync(
            "dotnet",
            project,
            [.. $"ef {arguments} --no-build --configuration {configuration}".Split(' ')],
            environment
        );
    }

    public static async Task<Result> RunProcessAsync(
        string program,
        string folder,
        string[] arguments,
        params string[] environment
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        foreach (var variable in new[] { "ADMIN_DATABASE_URL", "DB_ENCRYPTION_KEY", "BINDING", "CHANGED" })
        {
            start.Environment.Remove(variable);
        }

        foreach (var variable in environment)
        {
            var pair = variable.Split('=', 2);
            start.Environment[pair[0]] = pair[1];
        }

        var ct = TestContext.Current.CancellationToken;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync(ct);
        var output = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return new Result(process.ExitCode, output + await errors);
    }

    public sealed record Result(int ExitCode, string Output);
}
