namespace NeoCommons.EfCore;

/// <summary>Tells how the servers of a connection are.</summary>
internal static class HostReading
{
    /// <summary>How they were found at the last look; none before the first one, and of a connection with one server.</summary>
    public static IReadOnlyList<HostHealth> Read(this HostPools? pools, TimeProvider time)
    {
        var states = pools?.Guard.States;
        return pools is null || pools.Hosts.All(host => states![host.Number] == HostState.Unseen)
            ? []
            : [.. pools.Hosts.Select(host => Read(host.Number, states![host.Number]))];

        HostHealth Read(int number, HostState state) =>
            new()
            {
                Number = number,
                IsPrimary = state.Answer?.IsPrimary,
                Reason = pools.LeftOut.Contains(number) ? "it says nothing, and is left out" : state.Refusal,
                IsFenced = state.Answer is { IsPrimary: true } primary ? primary.Timeline is not null : null,
                LagSeconds = state is { Answer.IsPrimary: false, CaughtUpAt: not long.MinValue }
                    ? Math.Round(time.GetElapsedTime(state.CaughtUpAt).TotalSeconds, 1)
                    : null,
            };
    }
}
