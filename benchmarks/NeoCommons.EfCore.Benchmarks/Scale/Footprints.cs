namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>The samples of a way that serves so many tenants: medians, but for what is the same in each.</summary>
internal sealed record Footprints(string Way, int Tenants, IReadOnlyList<Footprint> Samples)
{
    public double HeapMiB => Numbers.Median([.. Samples.Select(s => s.HeapMiB)]);

    public double LeastMiB => Samples.Min(s => s.HeapMiB);

    public double MostMiB => Samples.Max(s => s.HeapMiB);

    public int Models => Samples.Max(s => s.Models);

    public int Pools => Samples.Max(s => s.Pools);

    public int Connections => Samples.Max(s => s.Connections);

    public int AdminConnections => Samples.Max(s => s.AdminConnections);

    public double FirstMilliseconds => Numbers.Median([.. Samples.Select(s => s.FirstMilliseconds)]);

    public double Microseconds => Numbers.Median([.. Samples.Select(s => s.Microseconds)]);
}
