using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace WebSample.Tests;

/// <summary>The sample as a program of the shell, beside the shop that runs.</summary>
public sealed class CommandTests(ShopApp shop)
{
    [Fact]
    public async Task A_command_writes_one_document_to_stdout_and_its_log_to_stderr()
    {
        var configuration = shop.Services.GetRequiredService<IConfiguration>();
        string[] environment =
        [
            $"ADMIN_DATABASE_URL={configuration["ADMIN_DATABASE_URL"]}",
            $"DB_ENCRYPTION_KEY={configuration["DB_ENCRYPTION_KEY"]}",
            "Logging__LogLevel__Npgsql=Information",
        ];

        var listing = await RunAsync(
            ["tenants", "list", "--connection", "shop-eu", "--json", "--verbose"],
            environment
        );
        var missing = await RunAsync(["tenants", "show", "nobody"], environment);

        Assert.True(listing.ExitCode == 0, listing.Output);
        var slugs = JsonDocument
            .Parse(listing.StandardOutput)
            .RootElement.EnumerateArray()
            .Select(t => t.GetProperty("slug").GetString())
            .ToList();
        Assert.Superset(new HashSet<string?> { "acme", "globex" }, slugs.ToHashSet());
        Assert.Contains("Npgsql.Command", listing.StandardError, StringComparison.Ordinal);
        Assert.Equal(3, missing.ExitCode);
        Assert.Empty(missing.StandardOutput);
        Assert.Contains("nobody", missing.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_starts_no_throwaway_server()
    {
        var run = await RunAsync(["connections", "list"], []);

        Assert.Equal(6, run.ExitCode);
        Assert.Contains("ADMIN_DATABASE_URL is not set", run.StandardError, StringComparison.Ordinal);
        Assert.DoesNotContain("throwaway", run.Output, StringComparison.Ordinal);
    }

    private static Task<Tools.Result> RunAsync(string[] args, string[] environment, [CallerFilePath] string here = "")
    {
        var folder = Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "samples", "WebSample");
        var program = Path.Combine(folder, "bin", Tools.Configuration, "net10.0", "WebSample.dll");
        return Tools.RunAsync("dotnet", folder, [program, .. args], environment);
    }
}
