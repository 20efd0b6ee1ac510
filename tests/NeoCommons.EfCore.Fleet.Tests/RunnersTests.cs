using System.Globalization;

namespace NeoCommons.EfCore.Fleet.Tests;

/// <summary>Processes that are started together share the work. <c>NEO_RUNNER_ROUNDS=30</c> for thirty rounds.</summary>
public sealed class RunnersTests
{
    private const int Tenants = 50;

    private static int Rounds { get; } =
        int.TryParse(
            Environment.GetEnvironmentVariable("NEO_RUNNER_ROUNDS"),
            CultureInfo.InvariantCulture,
            out var rounds
        )
            ? rounds
            : 1;

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
}
