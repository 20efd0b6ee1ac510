using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore;
using NeoCommons.EfCore.Admin;
using WebSample.Demo;

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
    public async Task The_line_that_the_demo_prints_lets_a_command_reach_it()
    {
        var exports = shop.Services.GetRequiredService<DemoServers>().Exports!;
        Assert.DoesNotContain('\n', exports);

        var run = await Tools.RunAsync("bash", Folder(), ["-c", $"{exports}\ndotnet {Program()} tenants list"]);

        Assert.True(run.ExitCode == 0, run.Output);
        Assert.Contains("initech", run.StandardOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_starts_no_throwaway_server()
    {
        var run = await RunAsync(["connections", "list"], []);

        Assert.Equal(6, run.ExitCode);
        Assert.Contains("ADMIN_DATABASE_URL is not set", run.StandardError, StringComparison.Ordinal);
        Assert.DoesNotContain("throwaway", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_c_ends_a_command_cleanly_and_it_says_how_to_go_on()
    {
        var ct = TestContext.Current.CancellationToken;
        var configuration = shop.Services.GetRequiredService<IConfiguration>();
        // The creation waits for this lock, after it has written the tenant's row.
        await using var holder = await shop
            .Services.GetRequiredService<IDatabaseConnections>()
            .OpenConnectionAsync("shop-us", ct);
        await using var locking = holder.CreateCommand();
        locking.CommandText = "SELECT pg_advisory_lock(hashtextextended('neocommons.migrate:tenant_late', 0))";
        await locking.ExecuteNonQueryAsync(ct);

        using var command = Start(
            ["tenants", "create", "late", "--connection", "shop-us"],
            [
                $"ADMIN_DATABASE_URL={configuration["ADMIN_DATABASE_URL"]}",
                $"DB_ENCRYPTION_KEY={configuration["DB_ENCRYPTION_KEY"]}",
            ]
        );
        while (await CountAsync() == 0 && !command.HasExited)
        {
            await Task.Delay(50, ct);
        }

        using (var kill = Process.Start("kill", ["-INT", $"{command.Id}"]))
        {
            await kill.WaitForExitAsync(ct);
        }

        var stopped = await Tools.EndAsync(command);
        Assert.True(stopped.ExitCode == 130, stopped.Output);
        Assert.Empty(stopped.StandardOutput);
        Assert.Contains("repeat the command", stopped.StandardError, StringComparison.Ordinal);
        Assert.Equal(0, await CountAsync());

        async Task<int> CountAsync()
        {
            await using var admin = await shop
                .Services.GetRequiredService<IDbContextFactory<AdminDbContext>>()
                .CreateDbContextAsync(ct);
            return await admin.Tenants.CountAsync(t => t.Slug == "late", ct);
        }
    }

    private static Task<Tools.Result> RunAsync(string[] args, string[] environment) =>
        Tools.EndAsync(Start(args, environment));

    private static Process Start(string[] args, string[] environment) =>
        Tools.Start("dotnet", Folder(), [Program(), .. args], environment);

    private static string Program() => Path.Combine(Folder(), "bin", Tools.Configuration, "net10.0", "WebSample.dll");

    private static string Folder([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "samples", "WebSample");
}
