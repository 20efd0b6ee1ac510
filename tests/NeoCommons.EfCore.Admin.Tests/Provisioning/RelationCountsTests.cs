using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>When the relations of a database are counted again: 1,000 tenants of 40 relations each, of 50,000.</summary>
public sealed class RelationCountsTests
{
    private const int Tenants = 1_000;
    private const int Relations = 40_000;
    private const int Most = 50_000;

    private readonly FakeTimeProvider _time = new();
    private readonly RelationCounts _counts;

    public RelationCountsTests()
    {
        _counts = new(_time);
        _counts.Note(Row(), Tenants, Relations, _counts.Begin());
    }

    [Theory]
    [InlineData(0, Most, true)]
    [InlineData(10, Most, true)]
    [InlineData(11, Most, false)]
    [InlineData(-5, Most, true)]
    [InlineData(0, Relations + 81, true)]
    [InlineData(0, Relations + 80, false)]
    [InlineData(10, Relations + 880, false)]
    [InlineData(0, Relations, false)]
    [InlineData(0, 0, false)]
    public void They_are_not_where_few_tenants_came_and_there_is_room_for_twice_as_much(
        int more,
        int most,
        bool isFar
    ) => Assert.Equal(isFar, _counts.IsFarFromFull(Row(), Tenants + more, most));

    [Fact]
    public void They_are_after_a_minute()
    {
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.True(_counts.IsFarFromFull(Row(), Tenants, Most));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_counts.IsFarFromFull(Row(), Tenants, Most));
    }

    [Fact]
    public void They_are_of_a_row_and_the_database_that_it_leads_to()
    {
        Assert.False(_counts.IsFarFromFull(Row() with { Name = "other" }, Tenants, Most));
        Assert.False(_counts.IsFarFromFull(Row() with { Host = "other" }, Tenants, Most));
        Assert.False(_counts.IsFarFromFull(Row() with { Port = 1 }, Tenants, Most));
        Assert.False(_counts.IsFarFromFull(Row() with { Database = "other" }, Tenants, Most));
    }

    [Fact]
    public void An_empty_database_that_takes_none_is_full()
    {
        _counts.Note(Row(), 0, 0, _counts.Begin());
        Assert.False(_counts.IsFarFromFull(Row(), 0, 0));
    }

    private static DatabaseConnection Row() =>
        new()
        {
            Name = "db1",
            Host = "localhost",
            Port = 5432,
            Database = "shop",
            Username = "u",
            Password = Secret.FromText("p"),
        };
}
