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
    ) => Assert.Equal(expected, FairPart.Of(total, mine, others, 0));

    [Fact]
    public void What_others_have_is_theirs_until_they_agree()
    {
        Assert.Equal(0, FairPart.Of(10, 99, [99], 10));
        Assert.Equal(2, FairPart.Of(10, 99, [99], 8));
        Assert.Equal(0, FairPart.Of(10, 99, [99], 12));
    }

    [Fact]
    public void All_together_never_get_more_than_there_is_whoever_agrees_first()
    {
        var random = new Random(1);
        for (var round = 0; round < 10_000; round++)
        {
            var total = random.Next(1, 40);
            var wanted = Enumerable.Range(0, random.Next(1, 8)).Select(_ => random.Next(0, 30)).ToArray();
            var had = new int[wanted.Length];
            foreach (var me in Enumerable.Range(0, wanted.Length).OrderBy(_ => random.Next()))
            {
                had[me] = FairPart.Of(
                    total,
                    wanted[me],
                    [.. wanted.Where((_, i) => i != me)],
                    had.Where((_, i) => i != me).Sum()
                );
            }

            Assert.InRange(had.Sum(), 0, total);
            if (total >= wanted.Length)
            {
                Assert.DoesNotContain(0, had);
            }
        }
    }
}
