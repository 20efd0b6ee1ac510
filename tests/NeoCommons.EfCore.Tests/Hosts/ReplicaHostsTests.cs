namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>What a row says of further hosts is compared by value, read as it stands there, and checked as its own host is.</summary>
public sealed class ReplicaHostsTests
{
    private static readonly DatabaseConnection Row = new()
    {
        Name = "db",
        Host = "a",
        Port = 5433,
        Database = "d",
        Username = "u",
        Password = Secret.FromText("p"),
    };

    [Fact]
    public void Rows_with_the_same_hosts_are_equal_and_share_a_pool()
    {
        var (one, other) = (With("b, c:5434"), With(" b ,c:5434"));

        Assert.Equal(one, other);
        Assert.Equal(one.GetHashCode(), other.GetHashCode());
        Assert.True(one.HasSamePoolAs(other));
        Assert.Equal("b,c:5434", one.ReplicaHosts.ToString());
        Assert.Equal(Row, With(" "));
        Assert.Same(ReplicaHosts.None, ReplicaHosts.Parse(null));
    }

    [Fact]
    public void Other_hosts_are_another_pool_and_another_failover_is_not()
    {
        Assert.False(Row.HasSamePoolAs(With("b")));
        Assert.False(With("b,c").HasSamePoolAs(With("c,b")));
        Assert.True(Row.HasSamePoolAs(Row with { FailoverConnection = "other", FailoverWrites = true }));
    }

    [Fact]
    public void Text_shows_hosts_and_failover_and_no_password()
    {
        var text = (With("b") with { FailoverConnection = "other" }).ToString();

        Assert.Contains("u@a:5433/d", text, StringComparison.Ordinal);
        Assert.Contains("replicas b", text, StringComparison.Ordinal);
        Assert.Contains("failover other", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("b", "b:5433")]
    [InlineData("b:1", "b:1")]
    [InlineData("10.0.0.7:5434", "10.0.0.7:5434")]
    [InlineData("2001:db8::7", "[2001:db8::7]:5433")]
    [InlineData("[2001:db8::7]", "[2001:db8::7]:5433")]
    [InlineData("[2001:db8::7]:5434", "[2001:db8::7]:5434")]
    public void A_host_has_the_rows_port_where_it_names_none(string text, string expected) =>
        Assert.Equal(expected, HostAddress.AllOf(With(text))[1].ToString());

    [Theory]
    [InlineData("b,", "''")]
    [InlineData("b:0", "port")]
    [InlineData("b:65536", "port")]
    [InlineData("b:x", "port")]
    [InlineData("b c", "'b c'")]
    [InlineData("/tmp", "'/tmp'")]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("[::ffff:169.254.169.254]:5432", "metadata")]
    [InlineData("a", "twice")]
    [InlineData("A.:5433", "twice")]
    [InlineData("b,b", "twice")]
    [InlineData("b;Password=evil", "evil")]
    public void What_the_row_could_not_name_as_its_host_is_refused_here_too(string hosts, string what)
    {
        var fault = Assert.Single(RowValidation.FindFaults(With(hosts), new ConnectionOptions()));

        Assert.Equal("replica hosts", fault.What);
        Assert.Contains(what, fault.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_hosts_that_are_allowed_are()
    {
        var options = new ConnectionOptions { AllowedHosts = { "a", "*.internal" } };

        Assert.Empty(RowValidation.FindFaults(With("b.internal:5434"), options));
        Assert.Contains("AllowedHosts", Assert.Single(RowValidation.FindFaults(With("b"), options)).Text);
    }

    private static DatabaseConnection With(string hosts) => Row with { ReplicaHosts = ReplicaHosts.Parse(hosts) };
}
