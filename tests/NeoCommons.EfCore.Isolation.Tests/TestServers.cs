using NeoCommons.EfCore.Isolation.Tests;
using NeoCommons.EfCore.Testing;

[assembly: AssemblyFixture(typeof(TestServers))]

namespace NeoCommons.EfCore.Isolation.Tests;

/// <summary>One PostgreSQL for all runs; each makes a database of its own.</summary>
public sealed class TestServers : IAsyncLifetime
{
    public PostgresServer Postgres { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Postgres = await PostgresServer.StartAsync(
            new() { ScramIterations = 1 },
            TestContext.Current.CancellationToken
        );

    public ValueTask DisposeAsync() => Postgres.DisposeAsync();
}
