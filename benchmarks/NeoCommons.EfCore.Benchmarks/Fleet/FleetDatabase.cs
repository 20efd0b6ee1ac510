using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>A database and its server.</summary>
internal sealed record FleetDatabase(PostgresServer Server, string Name)
{
    public string ConnectionString => Server.GetConnectionString(Name);
}
