namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>Opens, executes SQL as a tenant, and closes.</summary>
internal delegate Task Asking(Tenant tenant, string sql, CancellationToken ct);
