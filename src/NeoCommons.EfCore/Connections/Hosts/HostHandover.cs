namespace NeoCommons.EfCore;

/// <summary>What a pool leaves to the one that takes its place, where both are of the same servers.</summary>
/// <param name="Hosts">The servers, the row's own first.</param>
/// <param name="States">How they were found last: what a standby was seen to lack is not forgotten with the pool.</param>
/// <param name="Silent">Of the servers those that said nothing, by number; never all.</param>
internal sealed record HostHandover(IReadOnlyList<HostAddress> Hosts, HostStates States, IReadOnlySet<int> Silent);
