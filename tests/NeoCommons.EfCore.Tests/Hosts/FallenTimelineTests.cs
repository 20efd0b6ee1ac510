namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>All servers of a row were put back to an earlier state, as from a snapshot: nobody is left whom an old primary could harm.</summary>
public sealed class FallenTimelineTests
{
    // As many looks as it takes to believe it.
    private const int Looks = 30;

    private long _now = TimeProvider.System.GetTimestamp();

    [Theory]
    [InlineData("system")]
    [InlineData(null)]
    public void Where_all_answer_and_none_is_at_the_newest_timeline_the_row_begins_anew(string? system)
    {
        using var source = HostsAlone.New();
        Look(source, 1, Primary(2, system), Standby(system, reached: 2));

        Look(source, Looks - 1, Primary(1, system), Standby(system));
        Assert.NotNull(source.Hosts!.Guard.States[0].Refusal);

        Look(source, 1, Primary(1, system), Standby(system));
        Assert.Null(source.Hosts.Guard.States[0].Refusal);
        Assert.Equal(1, source.Hosts.Guard.Newest);

        // And is fenced as ever.
        Look(source, 1, Primary(1, system), Primary(2, system));
        Assert.NotNull(source.Hosts.Guard.States[0].Refusal);
    }

    [Fact]
    public void A_host_that_does_not_answer_may_be_the_one_that_it_was_replaced_by()
    {
        using var source = HostsAlone.New();
        Look(source, 1, null, Primary(2));

        Look(source, 10 * Looks, Primary(1), null);
        Assert.NotNull(source.Hosts!.Guard.States[0].Refusal);

        // Nor is one answer enough.
        Look(source, Looks - 1, Primary(1), Standby());
        Look(source, 1, Primary(1), null);
        Look(source, Looks - 1, Primary(1), Standby());
        Assert.NotNull(source.Hosts.Guard.States[0].Refusal);
    }

    [Theory]
    [InlineData(2L)]
    [InlineData(null)]
    public void A_standby_that_has_reached_the_newest_timeline_or_does_not_tell_may_follow_it(long? reached)
    {
        using var source = HostsAlone.New();
        Look(source, 1, null, Primary(2));

        Look(source, 10 * Looks, Primary(1), Standby(reached: reached));

        Assert.NotNull(source.Hosts!.Guard.States[0].Refusal);
    }

    [Fact]
    public void A_host_that_does_not_tell_its_system_replaces_nobody_of_a_system_that_is_known()
    {
        using var source = HostsAlone.New();
        Look(source, 1, Primary(1), null);

        Look(source, 1, Primary(1), Primary(5, system: null));

        Assert.Null(source.Hosts!.Guard.States[0].Refusal);
    }

    [Fact]
    public void What_another_connection_has_seen_counts_as_long_as_that_is_looked_at()
    {
        var memory = new HostMemory();
        using var source = HostsAlone.New(memory);
        using var other = HostsAlone.New(memory, "other", "127.0.0.3:1");
        for (var look = 0; look < 10 * Looks; look++)
        {
            // The new primary is the other row's, and away most of the time.
            Look(other, 1, Primary(1), look == 0 ? Primary(2) : null);
            Look(source, 1, Primary(1), Standby());
            Assert.NotNull(source.Hosts!.Guard.States[0].Refusal);
        }

        Look(other, Looks, Primary(1), Standby());
        Look(source, Looks, Primary(1), Standby());
        Assert.Null(source.Hosts!.Guard.States[0].Refusal);
        Assert.Null(other.Hosts!.Guard.States[0].Refusal);
    }

    [Fact]
    public void A_timeline_that_was_seen_before_the_system_was_told_still_counts()
    {
        using var source = HostsAlone.New();
        Look(source, 1, null, Primary(2, system: null));

        Look(source, 1, Primary(1, "system"), null);

        Assert.NotNull(source.Hosts!.Guard.States[0].Refusal);
    }

    private static HostAnswer Primary(long timeline, string? system = "system") => new(true, system, timeline, 100);

    private static HostAnswer Standby(string? system = "system", long? reached = 1) =>
        new(false, system, null, 100, reached);

    private void Look(PooledDataSource source, int times, params HostAnswer?[] answers)
    {
        for (var i = 0; i < times; i++)
        {
            source.Hosts!.Look(_now, answers);
            _now += (long)HostWatch.Interval.TotalSeconds * TimeProvider.System.TimestampFrequency;
        }
    }
}
