using System.Diagnostics;

namespace WebSample.Tests;

/// <summary>Runs programs as a developer does, with no address of a database in the environment unless it is given.</summary>
internal static class Tools
{
    /// <summary>How these tests were built, and so what is beside them.</summary>
    public static string Configuration =>
        AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal) ? "Release" : "Debug";

    /// <summary><c>dotnet ef</c> on a project that is built already.</summary>
    public static async Task<Result> RunEfAsync(string project, string arguments, params string[] environment)
    {
        return await RunAsync(
            "dotnet",
            project,
            [.. $"ef {arguments} --no-build --configuration {Configuration}".Split(' ')],
            environment
        );
    }

    public static async Task<Result> RunAsync(
        string program,
        string folder,
        string[] arguments,
        params string[] environment
    )
    {
        using var process = Start(program, folder, arguments, environment);
        return await EndAsync(process);
    }

    public static Process Start(string program, string folder, string[] arguments, params string[] environment)
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

        return Process.Start(start)!;
    }

    /// <summary>Waits for the end of a program, and takes what it has written.</summary>
    public static async Task<Result> EndAsync(Process process)
    {
        var ct = TestContext.Current.CancellationToken;
        var errors = process.StandardError.ReadToEndAsync(ct);
        var output = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return new Result(process.ExitCode, output, await errors);
    }

    public sealed record Result(int ExitCode, string StandardOutput, string StandardError)
    {
        public string Output => StandardOutput + StandardError;
    }
}
