namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>What a way takes when it has served so many tenants, as one of several samples.</summary>
/// <param name="HeapMiB">How much more is on the managed heap than when it had started, after a full collection.</param>
/// <param name="Models">How many models its contexts had.</param>
/// <param name="Pools">How many pools of connections the driver has for it.</param>
/// <param name="Connections">How many connections the tenants' database has from it.</param>
/// <param name="AdminConnections">How many the admin database has.</param>
/// <param name="FirstMilliseconds">What a tenant's first query took: the median of all of them.</param>
/// <param name="Microseconds">What a point read took after that, with one caller: the median of blocks of reads.</param>
internal sealed record Footprint(
    double HeapMiB,
    int Models,
    int Pools,
    int Connections,
    int AdminConnections,
    double FirstMilliseconds,
    double Microseconds
);
