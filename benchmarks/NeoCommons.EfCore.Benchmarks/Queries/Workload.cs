namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>What is done for one tenant, again and again.</summary>
/// <param name="Name">Its name in the tables.</param>
/// <param name="Once">Does it with a way, for a tenant, with a product.</param>
/// <param name="Weight">How many times as long as a point read it takes, about.</param>
internal sealed record Workload(string Name, Func<Peer, int, int, Task> Once, int Weight = 1)
{
    public static readonly Workload Read = new("point read", (peer, tenant, id) => peer.ReadAsync(tenant, id));
    public static readonly Workload Insert = new("insert of 1", (peer, tenant, _) => peer.InsertAsync(tenant, 1));

    /// <summary>Inserts last: those without tenants make one table large by them, and the others a thousand a little.</summary>
    public static readonly IReadOnlyList<Workload> All =
    [
        Read,
        new("list of 50", (peer, tenant, _) => peer.ListAsync(tenant)),
        new("transaction of 3", (peer, tenant, id) => peer.UpdateAsync(tenant, id), Weight: 4),
        new("request: 2 reads, 1 write", (peer, tenant, id) => peer.RequestAsync(tenant, id), Weight: 3),
        Insert,
        new("insert of 100", (peer, tenant, _) => peer.InsertAsync(tenant, 100), Weight: 8),
    ];
}
