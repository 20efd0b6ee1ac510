namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A pool is replaced for what it was built with, and for nothing else.</summary>
public sealed class SamePoolTests
{
    private static readonly DatabaseConnection Row = new()
    {
        Name = "db",
        Host = "localhost",
        Database = "d",
        Username = "u",
        Password = Secret.FromText("one"),
    };

    [Fact]
    public void What_only_describes_the_database_keeps_the_pool() =>
        Assert.True(
            Row.HasSamePoolAs(
                Row with
                {
                    Type = ConnectionType.Analytics,
                    RegionId = "eu",
                    Password = Secret.FromText("two"),
                }
            )
        );

    [Fact]
    public void What_the_pool_was_built_with_does_not()
    {
        Assert.False(Row.HasSamePoolAs(Row with { MaxPoolSize = 7 }));
        Assert.False(Row.HasSamePoolAs(Row with { Host = "elsewhere" }));
        Assert.False(Row.HasSamePoolAs(Row with { IsActive = false }));
    }
}
