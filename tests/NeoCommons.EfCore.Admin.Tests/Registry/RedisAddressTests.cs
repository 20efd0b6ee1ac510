namespace NeoCommons.EfCore.Admin.Tests.Registry;

public sealed class RedisAddressTests
{
    [Theory]
    [InlineData("redis://cache", "cache:6379", null, null, false, null)]
    [InlineData("redis://cache:7000/3", "cache:7000", null, null, false, 3)]
    [InlineData("redis://:pa%40ss@cache", "cache:6379", null, "pa@ss", false, null)]
    [InlineData("rediss://who:pass:word@cache:6380/0", "cache:6380", "who", "pass:word", true, 0)]
    [InlineData("redis://[::1]:6379", "[::1]:6379", null, null, false, null)]
    [InlineData("cache:7000,password=secret,ssl=true", "cache:7000", null, "secret", true, null)]
    public void An_address_is_read(
        string text,
        string endPoint,
        string? user,
        string? password,
        bool tls,
        int? database
    )
    {
        var options = RedisAddress.Parse(text);
        Assert.EndsWith(endPoint, options.EndPoints.Single().ToString());
        Assert.Equal(
            (user, password, tls, database),
            (options.User, options.Password, options.Ssl, options.DefaultDatabase)
        );
        Assert.False(options.AbortOnConnectFail);
    }

    [Theory]
    [InlineData("http://cache")]
    [InlineData("redis://")]
    [InlineData("redis://:s3cret@cache/zero")]
    [InlineData("redis://:s3cret@cache?ssl=true")]
    [InlineData("cache:7000,s3cret=s3cret")]
    [InlineData("password=s3cret")]
    public void One_that_cannot_be_read_is_told_without_its_password(string text)
    {
        var refused = Assert.Throws<FormatException>(() => RedisAddress.Parse(text));
        Assert.DoesNotContain("s3cret", refused.ToString());
    }

    [Fact]
    public void Values_out_of_range_are_all_named()
    {
        var result = new RegistryCacheOptionsValidation().Validate(
            null,
            new RegistryCacheOptions
            {
                ConnectionString = "http://s3cret",
                Timeout = TimeSpan.Zero,
                BreakDuration = TimeSpan.FromDays(2),
            }
        );
        Assert.Equal(3, result.Failures!.Count());
        Assert.DoesNotContain("s3cret", result.FailureMessage);
    }
}
