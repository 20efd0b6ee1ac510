namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>What a way takes when it has served so many tenants.</summary>
/// <param name="Way">The way.</param>
/// <param name="Tenants">How many it has served, each once at least.</param>
/// <param name="HeapMiB">How much more is on the managed heap than before it was made, after a full collection.</param>
/// <param name="Models">How many models its contexts had.</param>
/// <param name="Connections">How many connections the server has from it.</param>
/// <param name="ServerMiB">The private memory of those server processes; NaN where it cannot be read.</param>
/// <param name="FirstMilliseconds">What a tenant's first query took: the median of all of them.</param>
/// <param name="Microseconds">What a point read took after that, with one caller: the median of blocks of reads.</param>
internal sealed record Footprint(
    string Way,
    int Tenants,
    double HeapMiB,
    int Models,
    int Connections,
    double ServerMiB,
    double FirstMilliseconds,
    double Microseconds
);
