using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Options that cannot be used stop the host at its start, with all faults at once.</summary>
public sealed class OptionsValidationTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_defaults_are_valid()
    {
        using var host = Build([]);
        await host.StartAsync(Ct);
        await host.StopAsync(Ct);
    }

    [Fact]
    public async Task All_faults_are_told_at_once()
    {
        var failures = await StartAsync(
            new()
            {
                ["NeoCommons:Connections:IdleLifetime"] = "00:00:00",
                ["NeoCommons:Connections:PrePingAfter"] = "-00:00:01",
                ["NeoCommons:Connections:SharedSchemas:0"] = "public",
                ["NeoCommons:Connections:SharedSchemas:1"] = "pg_temp",
                ["NeoCommons:Connections:RequireAuth"] = " ",
            }
        );

        Assert.Equal(5, failures.Count);
        Assert.Contains(failures, f => f.Contains("IdleLifetime", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("PrePingAfter", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("'public'", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("'pg_temp'", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("RequireAuth", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("IdleLifetime", "00:00:00.5")]
    [InlineData("PruningInterval", "00:00:00")]
    [InlineData("PruningInterval", "00:06:00")]
    [InlineData("PrePingAfter", "-00:00:00.001")]
    [InlineData("PrePingTimeout", "00:00:00.9")]
    [InlineData("DrainTimeout", "-00:00:01")]
    [InlineData("DrainTimeout", "1.00:00:01")]
    [InlineData("MaxStandbyLag", "00:00:00.9")]
    [InlineData("MaxStandbyLag", "01:00:01")]
    [InlineData("SharedSchemas:0", "admin")]
    [InlineData("SharedSchemas:0", "")]
    [InlineData("SharedSchemas:0", "$user")]
    [InlineData("SharedSchemas:0", "information_schema")]
    [InlineData("SharedSchemas:0", "neocommons_no_tenant")]
    [InlineData("RequireAuth", "")]
    [InlineData("RequireAuth", "ScramSHA257")]
    [InlineData("RequireAuth", "ScramSHA256,Pasword")]
    public async Task A_value_that_cannot_be_used_is_named(string option, string value)
    {
        var failure = Assert.Single(await StartAsync(new() { [$"NeoCommons:Connections:{option}"] = value }));

        Assert.Contains(option.Split(':')[0], failure, StringComparison.Ordinal);
        Assert.Contains(value, failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ScramSHA256")]
    [InlineData("ScramSHA256,MD5")]
    [InlineData("MD5, None")]
    [InlineData("!Password")]
    public async Task Every_way_to_write_the_methods_of_authentication_is_taken(string value)
    {
        using var host = Build(new() { ["NeoCommons:Connections:RequireAuth"] = value });
        await host.StartAsync(Ct);
        await host.StopAsync(Ct);
    }

    private static async Task<IReadOnlyList<string>> StartAsync(Dictionary<string, string?> settings)
    {
        using var host = Build(settings);
        var thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(Ct));
        return [.. thrown.Failures];
    }

    private static IHost Build(Dictionary<string, string?> settings)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddSingleton<IConnectionRegistry>(new MemoryRegistry());
        builder.Services.AddSingleton<ITenantStore>(new MemoryTenantStore());
        builder.Services.AddNeoCommons(builder.Configuration);
        return builder.Build();
    }
}
