using Microsoft.Extensions.Time.Testing;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>When a server counts as silent.</summary>
public sealed class UnansweredProbesTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(5);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Two_questions_in_a_row_that_took_long_say_so()
    {
        var probes = new UnansweredProbes(_time);

        Assert.False(probes.IsSilent(Ask(probes, Long)));
        Assert.True(probes.IsSilent(Ask(probes, Long)));
    }

    [Fact]
    public void One_that_is_refused_at_once_says_nothing()
    {
        var probes = new UnansweredProbes(_time);
        Ask(probes, Long);

        Assert.False(probes.IsSilent(Ask(probes, TimeSpan.FromMilliseconds(10))));
    }

    [Fact]
    public void A_server_that_serves_callers_meanwhile_is_slow_and_not_silent()
    {
        var probes = new UnansweredProbes(_time);
        Ask(probes, Long);
        probes.Served();

        Assert.False(probes.IsSilent(Ask(probes, Long)));
    }

    [Fact]
    public void An_answer_begins_anew()
    {
        var probes = new UnansweredProbes(_time);
        Ask(probes, Long);
        probes.Note(isAnswered: true, _time.GetTimestamp());

        Assert.False(probes.IsSilent(Ask(probes, Long)));
        Assert.True(probes.IsSilent(Ask(probes, Long)));
    }

    private long Ask(UnansweredProbes probes, TimeSpan took)
    {
        var begun = _time.GetTimestamp();
        _time.Advance(took);
        probes.Note(isAnswered: false, begun);
        return begun;
    }
}
