using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Admin.Tests;

/// <summary>An admin database that is migrated once for each server: each application has a copy.</summary>
internal static class AdminTemplate
{
    private static readonly ConditionalWeakTable<PostgresServer, Lazy<Task<string>>> Migrated = [];

    public static async Task<string> CopyAsync(PostgresServer server, CancellationToken ct) =>
        await server.CreateDatabaseAsync(
            template: await Migrated.GetValue(server, s => new(() => MigrateAsync(s))).Value.WaitAsync(ct),
            ct: ct
        );

    private static async Task<string> MigrateAsync(PostgresServer server)
    {
        var name = await server.CreateDatabaseAsync();
        using var host = TestApp.BuildHost(server, name);
        await host.Services.MigrateAdminDatabaseAsync(CancellationToken.None);
        return name;
    }
}
