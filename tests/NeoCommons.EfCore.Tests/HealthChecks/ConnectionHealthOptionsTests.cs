using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Tests.HealthChecks;

/// <summary>Thresholds that cannot be used stop the host at its start.</summary>
public sealed class ConnectionHealthOptionsTests
{
    [Fact]
    public async Task All_faults_are_told_at_once()
    {
        var failures = await StartAsync(o =>
        {
            o.Parallelism = 0;
            o.Timeout = TimeSpan.Zero;
            o.SlowAfter = TimeSpan.FromSeconds(-1);
            o.SaturatedFrom = 1.5;
        });

        Assert.Equal(4, failures.Count);
        Assert.Contains(failures, f => f.Contains("Parallelism is 0", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("Timeout is 00:00:00", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("SlowAfter is -00:00:01", StringComparison.Ordinal));
        Assert.Contains(failures, f => f.Contains("SaturatedFrom is 1.5", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-0.1)]
    [InlineData(double.NaN)]
    public async Task A_share_that_no_pool_can_have_is_refused(double share) =>
        Assert.Single(await StartAsync(o => o.SaturatedFrom = share));

    [Fact]
    public async Task The_defaults_are_valid() => Assert.Empty(await StartAsync(_ => { }));

    private static async Task<IReadOnlyList<string>> StartAsync(Action<ConnectionHealthOptions> configure)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddHealthChecks().AddNeoCommons(configure);
        using var host = builder.Build();
        try
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            await host.StopAsync(TestContext.Current.CancellationToken);
            return [];
        }
        catch (OptionsValidationException e)
        {
            return [.. e.Failures];
        }
    }
}
