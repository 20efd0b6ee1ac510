using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Tests;

[assembly: AssemblyFixture(typeof(TestServers))]

namespace NeoCommons.EfCore.Tests;

/// <summary>One PostgreSQL for the tests that do not stop theirs.</summary>
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
