using System.Diagnostics;

namespace NeoCommons.EfCore.Admin.Tests.TenantMigrations;

/// <summary>The client that a script is written for; it goes to the server itself.</summary>
internal static class Psql
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task RunAsync(TestApp app, string script)
    {
        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        var start = new ProcessStartInfo(
            "psql",
            ["-h", app.Server.Host, "-p", $"{app.Server.Port}", "-U", app.Server.Username, "-q", database]
        )
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            Environment = { ["PGPASSWORD"] = app.Server.Password },
        };
        using var psql = Process.Start(start)!;
        await psql.StandardInput.WriteAsync(script.AsMemory(), Ct);
        psql.StandardInput.Close();
        var output = psql.StandardOutput.ReadToEndAsync(Ct);
        var errors = await psql.StandardError.ReadToEndAsync(Ct);
        await output;
        await psql.WaitForExitAsync(Ct);
        Assert.True(psql.ExitCode == 0, errors);
    }
}
