using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore.Admin.Tests.Commands;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>What tests of bound passwords do to an application.</summary>
internal static class BoundApp
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Starts an application whose databases were registered by command, as an operator with the key does.</summary>
    public static async Task<TestApp> StartAsync(
        TestServers servers,
        int databases,
        IReadOnlyDictionary<string, string?>? settings = null,
        Action<NeoCommonsBuilder>? configure = null
    )
    {
        var app = await TestApp.StartAsync(servers.Postgres, 0, settings, configure);
        for (var i = 1; i <= databases; i++)
        {
            await AddAsync(app, $"db{i}");
        }

        await app.ReloadAsync();
        return app;
    }

    public static async Task AddAsync(TestApp app, string name) =>
        (
            await CommandLine
                .Of(app, app.Server.Password + "\n")
                .RunAsync(
                    "connections",
                    "add",
                    name,
                    "--host",
                    app.Server.Host,
                    "--port",
                    $"{app.Server.Port}",
                    "--database",
                    await app.Server.CreateDatabaseAsync(ct: Ct),
                    "--username",
                    app.Server.Username,
                    "--ssl-mode",
                    "disable",
                    "--min-pool",
                    "0",
                    "--no-test"
                )
        ).IsOk();

    /// <summary>The application once more, with other settings, on the same admin database; not started.</summary>
    public static IHost Again(
        TestApp app,
        IReadOnlyDictionary<string, string?> settings,
        Action<NeoCommonsBuilder>? configure = null
    ) =>
        TestApp.BuildHost(
            app.Server,
            new NpgsqlConnectionStringBuilder(app.AdminConnectionString).Database!,
            settings,
            configure
        );

    public static async Task<string> TokenAsync(TestApp app, string name) =>
        (string)
            (
                await app.AdminAsync(
                    $"SELECT encrypted_password FROM admin.database_connections WHERE connection_name = '{name}'"
                )
            )!;

    /// <summary>What a token of a row is, with these keys.</summary>
    public static async Task<StoredSecret> ReadAsync(TestApp app, string name, string keys) =>
        new FernetSecrets(FernetKeys.Parse(keys), TimeProvider.System).Read(
            await TokenAsync(app, name),
            await TargetAsync(app, name)
        );

    public static async Task<SecretTarget> TargetAsync(TestApp app, string name)
    {
        var parts = (
            (string)
                (
                    await app.AdminAsync(
                        "SELECT host || ' ' || port || ' ' || database_name || ' ' || username FROM admin.database_connections "
                            + $"WHERE connection_name = '{name}'"
                    )
                )!
        ).Split(' ');
        return new SecretTarget(
            parts[0],
            int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture),
            parts[2],
            parts[3]
        );
    }

    public static async Task<ConnectionHealth> HealthAsync(IServiceProvider services, string name)
    {
        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Ct);
        return (ConnectionHealth)report.Entries["neocommons-connections"].Data[name];
    }
}
