using System.Globalization;

namespace NeoCommons.EfCore.Fleet.Tests;

/// <summary>
/// What is killed anywhere is finished by the same command. <c>NEO_KILL_ROUNDS=100</c> for a hundred rounds of each.
/// </summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Tenants = 50;

    private static int Rounds { get; } =
        int.TryParse(
            Environment.GetEnvironmentVariable("NEO_KILL_ROUNDS"),
            CultureInfo.InvariantCulture,
            out var rounds
        )
            ? rounds
            : 2;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_killed_process() =>
        StrikeAsync(
            async (_, runner) =>
            {
                runner.Kill();
                await runner.EndAsync();
            }
        );

    [Fact]
    public Task Killed_backends() => StrikeAsync(async (fleet, _) => await fleet.KillBackendsAsync());

    [Fact]
    public Task A_killed_server() =>
        StrikeAsync(
            async (fleet, _) =>
            {
                await fleet.KillServerAsync();
                await fleet.Server.StartAgainAsync(Ct);
            }
        );

    private async Task StrikeAsync(Func<Fleet, Runner, Task> strike)
    {
        await using var fleet = await Fleet.StartAsync();
        for (var (round, late) = (1, 0); round <= Rounds; )
        {
            await fleet.BeginAsync(Tenants);
            using var first = fleet.Run();
            var after = Random.Shared.Next(Tenants);
            while (!first.HasExited && await fleet.DoneAsync() < after)
            {
                await Task.Delay(5, Ct);
            }

            await Task.Delay(Random.Shared.Next(40), Ct);
            if (first.HasExited)
            {
                // It was faster, and nothing can be learned from it.
                Assert.True(late++ < Rounds + 5, "The runs end before they can be struck.");
                continue;
            }

            await strike(fleet, first);
            var ended = await first.EndAsync();
            var done = await fleet.DoneAsync();

            using var second = fleet.Run();
            var (code, said) = await second.EndAsync();
            Assert.True(code == 0, $"round {round}, after {after} tenants: {said}\nThe first run: {ended}");
            await fleet.AssertWholeAsync(Tenants);
            output.WriteLine(
                $"round {round}: struck after {after} tenants; {done} done when the first had ended ({ended.Code})"
            );
            round++;
        }
    }
}
