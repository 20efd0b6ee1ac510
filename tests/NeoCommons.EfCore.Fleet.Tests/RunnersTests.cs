using System.Globalization;

namespace NeoCommons.EfCore.Fleet.Tests;

/// <summary>
/// Processes that are started together share the work. <c>NEO_RUNNER_ROUNDS=30</c> for thirty rounds,
/// <c>NEO_RUNNER_TENANTS=1000</c> for a thousand tenants.
/// </summary>
public sealed class RunnersTests
{
    private static int Rounds { get; } = Read("NEO_RUNNER_ROUNDS", 1);
    private static int Tenants { get; } = Read("NEO_RUNNER_TENANTS", 50);

    [Fact]
    public async Task No_tenant_is_migrated_twice_by_processes_that_run_together()
    {
        await using var fleet = await Fleet.StartAsync();
        for (var round = 1; round <= Rounds; round++)
        {
            await fleet.BeginAsync(Tenants);
            var runners = Enumerable.Range(0, 4 + (round % 5)).Select(_ => fleet.Run()).ToList();
            try
            {
                var ended = await Task.WhenAll(runners.Select(r => r.EndAsync()));
                Assert.All(ended, e => Assert.True(e.Code == 0, e.Output));

                // Each tenant was migrated by one of them, and only by that.
                var migrated = ended.SelectMany(e => e.Output.Split('\n')).Where(l => l.Contains(" Migrated")).ToList();
                var said = $"round {round}:\n" + string.Join("\n---\n", ended.Select(e => e.Output));
                Assert.True(migrated.Count == Tenants && migrated.Distinct().Count() == Tenants, said);
                Assert.Equal(1L, await fleet.AdminAsync("SELECT count(*) FROM admin.migration_runs"));
                await fleet.AssertWholeAsync(Tenants);
            }
            finally
            {
                runners.ForEach(r => r.Dispose());
            }
        }
    }

    private static int Read(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var value)
            ? value
            : otherwise;
}
