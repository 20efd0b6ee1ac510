namespace NeoCommons.EfCore;

/// <summary>What a pool leaves to the one that takes its place, where both are of the same servers.</summary>
/// <param name="Hosts">The servers, the row's own first.</param>
/// <param name="States">How they were found last: what a standby was seen to lack is not forgotten with the pool.</param>
/// <param name="Silent">Of the servers those that said nothing, by number; never all.</param>
/// <param name="At">When it was left, a timestamp.</param>
internal sealed record HostHandover(
    IReadOnlyList<HostAddress> Hosts,
    HostStates States,
    IReadOnlySet<int> Silent,
    long At
)
{
    /// <summary>How long it is worth something; a pool that comes later looks for itself.</summary>
    public static readonly TimeSpan Lasting = TimeSpan.FromMinutes(1);
}
