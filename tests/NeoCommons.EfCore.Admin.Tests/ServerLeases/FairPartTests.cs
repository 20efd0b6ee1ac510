namespace NeoCommons.EfCore.Admin.Tests.ServerLeases;

/// <summary>How processes divide what a server has.</summary>
public sealed class FairPartTests
{
    [Theory]
    [InlineData(10, 0, new int[0], 10)]
    [InlineData(10, 99, new int[0], 10)]
    [InlineData(10, 99, new[] { 99 }, 5)]
    [InlineData(10, 99, new[] { 2 }, 8)]
    [InlineData(10, 2, new[] { 99 }, 2)]
    [InlineData(10, 2, new[] { 2 }, 5)]
    [InlineData(10, 0, new[] { 0 }, 5)]
    [InlineData(11, 99, new[] { 99, 3, 0 }, 3)]
    [InlineData(3, 9, new[] { 9, 9, 9 }, 1)]
    public void Who_wants_less_than_the_same_part_has_it_and_the_rest_is_divided(
        int total,
        int mine,
        int[] others,
        int expected
    ) => Assert.Equal(new FairPart(expected, expected), FairPart.Of(total, mine, others, 0));

    [Theory]
    [InlineData(8, 2, 5)]
    [InlineData(6, 4, 5)]
    // All is taken: what it takes to begin.
    [InlineData(10, 2, 5)]
    [InlineData(12, 2, 5)]
    public void What_others_have_is_theirs_until_they_agree(int taken, int now, int later) =>
        Assert.Equal(new FairPart(now, later), FairPart.Of(10, 99, [99], taken));

    [Fact]
    public void Where_there_are_more_processes_than_connections_the_last_ones_have_none() =>
        Assert.Equal(new FairPart(0, 1), FairPart.Of(2, 99, [99, 99], 2));

    [Fact]
    public void All_together_never_get_more_than_there_is_whoever_agrees_first()
    {
        var random = new Random(1);
        for (var round = 0; round < 10_000; round++)
        {
            var total = random.Next(1, 40);
            var wanted = Enumerable.Range(0, random.Next(1, 8)).Select(_ => random.Next(0, 30)).ToArray();
            var had = new int[wanted.Length];

            Agree(total, wanted, had, random);

            Assert.InRange(had.Sum(), 0, total);
            if (total >= wanted.Length)
            {
                Assert.DoesNotContain(0, had);
            }
        }
    }

    [Fact]
    public void From_whatever_they_had_they_come_to_their_parts()
    {
        var random = new Random(2);
        for (var round = 0; round < 10_000; round++)
        {
            var processes = random.Next(1, 8);
            var total = random.Next(processes, 40);
            var wanted = Enumerable.Range(0, processes).Select(_ => random.Next(0, 30)).ToArray();
            var had = Enumerable.Range(0, processes).Select(_ => random.Next(0, total + 1)).ToArray();

            Agree(total, wanted, had, random);
            Agree(total, wanted, had, random);

            Assert.InRange(had.Sum(), 1, total);
            Assert.All(had, part => Assert.True(part >= Math.Min(ServerBudget.LeastPart, total / processes)));
        }
    }

    private static void Agree(int total, int[] wanted, int[] had, Random random)
    {
        foreach (var me in Enumerable.Range(0, wanted.Length).OrderBy(_ => random.Next()))
        {
            had[me] = FairPart
                .Of(total, wanted[me], [.. wanted.Where((_, i) => i != me)], had.Where((_, i) => i != me).Sum())
                .Now;
        }
    }
}
