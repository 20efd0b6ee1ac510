using NeoCommons.EfCore.Benchmarks.Queries;

namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>What was measured of each way.</summary>
/// <param name="Road">How the callers come to the server.</param>
/// <param name="Workers">How many callers there are.</param>
/// <param name="Workload">What they do.</param>
/// <param name="Tenants">For how many tenants.</param>
/// <param name="Ways">The ways, with what each took in each round.</param>
internal sealed record WorkloadsCell(
    string Road,
    int Workers,
    string Workload,
    int Tenants,
    IReadOnlyList<(Peer Way, IReadOnlyList<Measured> Measured)> Ways
)
{
    /// <summary>The title of its table.</summary>
    public string Table => $"{Road}, {(Workers == 1 ? "one caller" : $"{Workers} callers")}";

    /// <summary>All ways but the one without tenants.</summary>
    public IReadOnlyList<string> Others => [.. Ways.Select(way => way.Way.Name).Where(way => way != Peers.Limit)];

    /// <summary>How many microseconds the way without tenants takes.</summary>
    public double Limit => Numbers.Median([.. Of(Peers.Limit).Select(m => m.Microseconds)]);

    /// <summary>All rounds of all ways, as CSV.</summary>
    public IEnumerable<string> Lines =>
        Ways.SelectMany(way =>
            way.Measured.Select(
                (m, round) =>
                    Numbers.Text(
                        $"\"{Road}\",{Workers},\"{Workload}\",{Tenants},\"{way.Way.Name}\",{round + 1},{m.Microseconds:0.0},{m.Bytes:0}"
                    )
            )
        );

    /// <summary>A way's ratio to the one without tenants in each round.</summary>
    public double[] RatiosOf(string way) =>
        [.. Of(way).Zip(Of(Peers.Limit), (one, limit) => one.Microseconds / limit.Microseconds)];

    private IReadOnlyList<Measured> Of(string way) => Ways.Single(one => one.Way.Name == way).Measured;
}
