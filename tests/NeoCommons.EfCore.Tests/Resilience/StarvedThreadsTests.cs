using System.Diagnostics;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>Synchronous callers take the threads that the process has, and a silent server keeps them (T25).</summary>
[Collection(Alone)]
public sealed class StarvedThreadsTests(TestServers servers)
{
    private const string Alone = "starved threads";

    private const int Callers = 200;

    // Of a slow machine, whose threads are taken.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(30);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task All_get_an_answer_and_then_the_process_works_on()
    {
        await using var proxied = await BehindProxy.StartAsync(
            servers.Postgres,
            row => row with { MaxPoolSize = 4, PoolTimeout = TimeSpan.FromSeconds(1), Type = ConnectionType.Dedicated },
            // However slow the machine is, the contexts' pool stays the one in use.
            new() { ["NeoCommons:Connections:Breaker:RebuildAfter"] = "1.00:00:00" }
        );
        var other = await proxied.App.AddDatabaseAsync();
        var tenant = await proxied.App.AddTenantAsync(proxied.Direct, "acme", proxied.Row.Name);
        var contexts = new List<ItemsContext>();
        for (var i = 0; i < Callers; i++)
        {
            contexts.Add(await proxied.App.Contexts.CreateDbContextAsync(tenant.Id, Ct));
        }

        proxied.Proxy.Blackhole();
        (await proxied.App.AcquireAsync(proxied.Row.Name)).Clear();
        var going = Stopwatch.StartNew();
        var longest = TimeSpan.Zero;
        var callers = contexts.Select(context => Task.Run(() => Ask(context), Ct)).ToList();

        var answers = await Task.WhenAll(callers).WaitAsync(TimeSpan.FromMinutes(2), Ct);

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Callers} answers in {going.Elapsed.TotalSeconds:0.0} s; the longest took {longest.TotalSeconds:0.0} s."
        );
        Assert.All(answers, answer => Assert.IsType<ConnectionUnavailableException>(answer));

        // A turn, and then a login.
        Assert.InRange(longest, TimeSpan.Zero, (proxied.Row.PoolTimeout * 2) + Slack);
        await Task.Run(() => { }, Ct).WaitAsync(Slack, Ct);
        await using (var connection = await proxied.App.Connections.OpenConnectionAsync(other.Name, Ct))
        {
            Assert.True(await RuntimeApp.PidAsync(connection) > 0);
        }

        // The breaker has found it out meanwhile, or does so now; and that it is over.
        await proxied.FailUntilOpenAsync();
        proxied.Proxy.Restore();
        await Eventually.TrueAsync(() => !proxied.Breaker.IsOpen);
        foreach (var context in contexts)
        {
            Assert.Equal("acme", context.Items.Single().Owner);
            await context.DisposeAsync();
        }

        Assert.Equal(0, await Quotas.Held.OfPoolAsync(proxied.App, proxied.Row));

        Exception? Ask(ItemsContext context)
        {
            var one = Stopwatch.StartNew();
            var answer = Record.Exception(() => context.Items.Single());
            lock (contexts)
            {
                longest = one.Elapsed > longest ? one.Elapsed : longest;
            }

            return answer;
        }
    }

    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class AloneCollection;
}
