using NeoCommons.EfCore.Isolation.Tests.Fuzz;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>Two tenants, and the poisoned table in <c>public</c>; each test makes an application of its own over it.</summary>
public sealed class FaultDatabase(TestServers servers) : IAsyncLifetime
{
    internal FuzzDatabase Database { get; private set; } = null!;

    public async ValueTask InitializeAsync() =>
        Database = await FuzzDatabase.CreateAsync(
            servers.Postgres,
            tenants: 2,
            "set by each test",
            TestContext.Current.CancellationToken
        );

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
