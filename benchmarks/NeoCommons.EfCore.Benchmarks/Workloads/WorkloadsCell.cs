namespace NeoCommons.EfCore.Benchmarks.Workloads;

/// <summary>What was measured of each way.</summary>
/// <param name="Road">How the callers come to the server.</param>
/// <param name="Workers">How many callers there are.</param>
/// <param name="Workload">What they do.</param>
/// <param name="Tenants">For how many tenants.</param>
internal sealed record WorkloadsCell(string Road, int Workers, string Workload, int Tenants)
{
    /// <summary>The title of its table.</summary>
    public string Table => $"{Road}, {(Workers == 1 ? "one caller" : $"{Workers} callers")}";
}
