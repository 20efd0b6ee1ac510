namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>What looks at the servers lead to; times and positions are plain numbers here, and 10 is the longest lag.</summary>
public sealed class HostStatesTests
{
    private const long MostLag = 10;

    [Fact]
    public void Nobody_serves_before_the_first_look()
    {
        var states = new HostStates(2);

        Assert.NotNull(states[0].Refusal);
        Assert.NotNull(states[1].Refusal);
    }

    [Fact]
    public void What_another_host_has_told_of_the_system_counts_until_the_rows_own_host_tells()
    {
        var stranger = Primary(100) with { System = "other" };
        var states = Look(new(2), 1, null, stranger);
        Assert.Null(states[1].Refusal);

        states = Look(states, 2, Primary(7) with { System = "own" }, stranger);
        Assert.Null(states[0].Refusal);
        Assert.NotNull(states[1].Refusal);
        Assert.Equal("own", states.System);

        // From now on it is known.
        states = Look(states, 3, stranger, null);
        Assert.NotNull(states[0].Refusal);
    }

    [Fact]
    public void Servers_that_were_all_replaced_by_others_serve_after_half_a_minute()
    {
        var states = Look(new(2), 1, Primary(100) with { System = "old" }, Standby(100) with { System = "old" });
        var (primary, standby) = (Primary(5) with { System = "new" }, Standby(5) with { System = "new" });
        for (var look = 2; look < 31; look++)
        {
            states = Look(states, look, primary, standby);
            Assert.NotNull(states[0].Refusal);
        }

        states = Look(states, 31, primary, standby);
        Assert.Null(states[0].Refusal);
        Assert.Null(Look(states, 32, primary, standby)[1].Refusal);
        Assert.Equal("new", states.System);
    }

    [Fact]
    public void A_host_that_was_made_anew_serves_nobody_while_one_of_the_others_is_there()
    {
        var states = Look(new(2), 1, Primary(100) with { System = "old" }, Standby(100) with { System = "old" });
        for (var look = 2; look < 100; look++)
        {
            states = Look(states, look, Primary(5) with { System = "new" }, Standby(100) with { System = "old" });
            Assert.NotNull(states[0].Refusal);
            Assert.Null(states[1].Refusal);
        }
    }

    [Fact]
    public void A_standby_is_level_where_nothing_is_written()
    {
        var states = Look(new(2), 1, Primary(100), Standby(100));
        states = Look(states, 1000, Primary(100), Standby(100));

        Assert.Null(states[0].Refusal);
        Assert.Null(states[1].Refusal);
        Assert.Equal(1000, states.SettledAt);
    }

    [Fact]
    public void A_primary_is_lost_when_none_was_there_for_as_long_as_a_standby_may_lag_and_until_there_is_one()
    {
        var states = Look(new(2), 1, null, Standby(100));
        Assert.False(states.IsPrimaryLost);
        states = Look(states, 2 + MostLag, null, Standby(100));
        Assert.True(states.IsPrimaryLost);

        states = Look(states, 101, Primary(100), Standby(100));
        states = Look(states, 101 + MostLag, null, Standby(100));
        Assert.False(states.IsPrimaryLost);
        states = Look(states, 102 + MostLag, null, Standby(100));
        Assert.True(states.IsPrimaryLost);
        Assert.Null(states[1].Refusal);

        states = Look(states, 103 + MostLag, null, Primary(100));
        Assert.False(states.IsPrimaryLost);
    }

    [Fact]
    public void A_standby_that_was_never_seen_level_is_not_trusted()
    {
        var states = Look(new(2), 1, Primary(100), Standby(99));
        Assert.NotNull(states[1].Refusal);

        states = Look(states, 2, Primary(200), Standby(100));
        Assert.Null(states[1].Refusal);
        Assert.Equal(1, states.SettledAt);
    }

    [Fact]
    public void A_standby_serves_until_it_lacks_more_than_is_allowed_and_again_when_it_does_not()
    {
        var states = Look(new(2), 0, Primary(0), Standby(0));
        for (var now = 1; now <= 30; now++)
        {
            states = Look(states, now, Primary(now), Standby(0));
            Assert.Equal(now > MostLag, states[1].Refusal is not null);
        }

        states = Look(states, 31, Primary(31), Standby(15));
        Assert.NotNull(states[1].Refusal);
        states = Look(states, 32, Primary(32), Standby(30));
        Assert.Null(states[1].Refusal);
    }

    [Fact]
    public void A_write_is_settled_when_the_slowest_standby_that_serves_has_it()
    {
        var states = Look(new(3), 1, Primary(100), Standby(100), Standby(100));
        states = Look(states, 2, Primary(200), Standby(200), Standby(100));
        Assert.Equal(1, states.SettledAt);

        states = Look(states, 3, Primary(200), Standby(200), Standby(200));
        Assert.Equal(3, states.SettledAt);
    }

    [Fact]
    public void A_standby_that_was_away_serves_when_it_has_what_was_settled_without_it()
    {
        var states = Look(new(3), 1, Primary(100), Standby(100), Standby(100));
        states = Look(states, 2, Primary(200), null, Standby(200));
        Assert.NotNull(states[1].Refusal);
        Assert.Equal(2, states.SettledAt);

        states = Look(states, 3, Primary(300), Standby(150), Standby(300));
        Assert.NotNull(states[1].Refusal);
        states = Look(states, 4, Primary(300), Standby(300), Standby(300));
        Assert.Null(states[1].Refusal);
    }

    [Fact]
    public void Without_a_standby_only_what_a_later_one_must_have_is_settled()
    {
        var states = Look(new(2), 0, Primary(0), Standby(0));
        for (var now = 1; now <= 30; now++)
        {
            states = Look(states, now, Primary(now), null);
        }

        Assert.Equal(30 - MostLag - 1, states.SettledAt);
    }

    [Fact]
    public void A_standby_goes_on_without_its_primary_and_nothing_more_is_settled()
    {
        var states = Look(new(2), 1, Primary(100), Standby(100));
        states = Look(states, 1000, null, Standby(100));

        Assert.Null(states[1].Refusal);
        Assert.Equal(1, states.SettledAt);
    }

    [Fact]
    public void A_primary_of_a_lower_timeline_serves_nobody_and_says_nothing_of_what_is_written()
    {
        var states = Look(new(2), 1, Primary(900, timeline: 1), Primary(100, timeline: 2));

        Assert.Contains("timeline is 1, and 2", states[0].Refusal, StringComparison.Ordinal);
        Assert.Null(states[1].Refusal);
    }

    [Fact]
    public void A_standby_that_follows_a_replaced_primary_serves_nobody()
    {
        var states = Look(new(2), 1, Primary(100, timeline: 2), Standby(900, timeline: 1));

        Assert.Contains("follows a primary that was replaced", states[1].Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_of_another_system_serves_nobody()
    {
        var states = Look(new(2), 1, Primary(100), Standby(100) with { System = "other" });

        Assert.Null(states[0].Refusal);
        Assert.Contains("not a replica", states[1].Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Servers_that_tell_nothing_of_their_log_serve()
    {
        var states = Look(new(2), 1, new HostAnswer(true, null, null, null), new HostAnswer(false, null, null, null));

        Assert.Null(states[0].Refusal);
        Assert.Null(states[1].Refusal);
    }

    [Fact]
    public void A_standby_that_tells_no_position_serves_nobody_while_its_primary_tells_one()
    {
        var states = new HostStates(2);
        for (var now = 1; now <= MostLag + 3; now++)
        {
            states = Look(states, now, Primary(10 * now), new HostAnswer(false, "system", null, null));
            Assert.Equal("it does not tell how far it has replayed its primary's log", states[1].Refusal);
        }

        states = Look(states, MostLag + 4, Primary(1_000), Standby(1_000));
        Assert.Null(states[1].Refusal);
    }

    [Fact]
    public void Where_a_primary_tells_no_position_time_settles_what_a_standby_that_serves_must_have_by_then()
    {
        HostAnswer[] answers = [new(true, null, null, null), new(false, null, null, null)];
        var states = new HostStates(2);
        for (var now = 1; now <= 30; now++)
        {
            states = Look(states, now, answers);
            Assert.Equal(now > MostLag + 1 ? now - MostLag - 1 : long.MinValue, states.SettledAt);
        }

        // Without it nothing more is known.
        states = Look(states, 31, null, answers[1]);
        Assert.Equal(30 - MostLag - 1, states.SettledAt);
        Assert.Null(states[1].Refusal);
    }

    private static HostStates Look(HostStates before, long now, params HostAnswer?[] answers) =>
        before.After(
            now,
            answers,
            answers.Where(a => a is { IsPrimary: true }).Max(a => a?.Timeline) ?? 0,
            (from, to) => to - from > MostLag
        );

    private static HostAnswer Primary(long lsn, long timeline = 1) => new(true, "system", timeline, lsn);

    private static HostAnswer Standby(long lsn, long? timeline = null) => new(false, "system", timeline, lsn);
}
