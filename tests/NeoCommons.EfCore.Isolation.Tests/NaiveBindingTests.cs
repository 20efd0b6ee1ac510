using NeoCommons.EfCore.Isolation.Tests.Fuzz;
using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Isolation.Tests;

/// <summary>The fuzz is not blind: the same operations on bindings that leak find that they do.</summary>
/// <remarks>Were one of these green on a wrong count of zero, <see cref="IsolationFuzzTests"/> would prove nothing.</remarks>
public sealed class NaiveBindingTests(TestServers servers, ITestOutputHelper output)
{
    private const int Tenants = 8;
    private const int Workers = 16;
    private const int PoolSize = 6;

    // A hundred times what it takes; a leak that is not found by then is not found.
    private const long MostOperations = 200_000;
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_SET_that_fails_without_closing_the_connection_is_found()
    {
        var database = await CreateAsync();
        await using var driver = NaiveDriver.WithInterceptor(database.ConnectionString, PoolSize);

        await AssertFoundAsync(database, driver);
    }

    [Fact]
    public async Task A_SET_of_the_session_behind_a_transaction_pooler_is_found()
    {
        var database = await CreateAsync();
        await using var pooler = await PgBouncerServer.StartAsync(
            servers.Postgres,
            new PgBouncerServerOptions { Settings = { ["default_pool_size"] = $"{PoolSize}" } },
            Ct
        );
        await using var driver = NaiveDriver.WithInterceptor(pooler.GetConnectionString(database.Name), Workers);

        await AssertFoundAsync(database, driver);
    }

    [Fact]
    public async Task An_open_connection_that_tenants_share_is_found()
    {
        var database = await CreateAsync();
        await using var driver = NaiveDriver.WithSharedConnections(database.ConnectionString, Workers);

        await AssertFoundAsync(database, driver);
    }

    private Task<FuzzDatabase> CreateAsync() => FuzzDatabase.CreateAsync(servers.Postgres, Tenants, "naive", Ct);

    private async Task AssertFoundAsync(FuzzDatabase database, NaiveDriver driver)
    {
        var run = new FuzzRun(database, driver, Workers);

        var report = await run.RunAsync(MostOperations, TimeSpan.Zero, Deadline, untilWrong: true, Ct);

        output.WriteLine(report.ToString());
        Assert.True(report.Wrong + report.WrongRows > 0, report.ToString());
    }
}
