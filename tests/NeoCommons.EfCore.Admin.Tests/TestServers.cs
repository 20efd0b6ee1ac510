using NeoCommons.EfCore.Admin.Tests;
using NeoCommons.EfCore.Testing;

[assembly: AssemblyFixture(typeof(TestServers))]

namespace NeoCommons.EfCore.Admin.Tests;

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
