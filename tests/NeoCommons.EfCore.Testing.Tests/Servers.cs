using NeoCommons.EfCore.Testing.Tests;

[assembly: AssemblyFixture(typeof(Servers))]

namespace NeoCommons.EfCore.Testing.Tests;

/// <summary>One PostgreSQL for the tests that do not stop theirs.</summary>
public sealed class Servers : IAsyncLifetime
{
    public PostgresServer Postgres { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Postgres = await PostgresServer.StartAsync(ct: TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => Postgres.DisposeAsync();
}
