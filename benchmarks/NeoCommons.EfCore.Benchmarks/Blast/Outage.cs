using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>What callers of a row whose servers are dead are told, and what the callers of another one notice of them.</summary>
/// <param name="app">The application.</param>
internal sealed class Outage(BlastApp app)
{
    private const int Callers = 16;
    private const double Goal = 5;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly Tenant _dying = app.NewTenant(BlastApp.Dying);
    private readonly Tenant _ofTwoHosts = app.NewTenant(BlastApp.TwoHosts);

    /// <summary>Stops the servers of two rows while callers ask for one of them; then they ask in vain.</summary>
    public async Task RunAsync(int rounds, int operations, int answers, TextWriter report)
    {
        var others = new BlastOthers(app, BlastApp.OneHost, app.InContextAsync, operations);
        var table = new BlastTable(report);
        await table.BeginAsync($"others, contexts of a row with one host: {Callers} callers meanwhile");
        await others.BesideAsync(BlastDeed.Nothing);
        var before = await others.BesideAsync(BlastDeed.Nothing);
        var dies = await others.BesideAsync(
            new(
                "",
                ct =>
                    Task.WhenAll(
                        BlastDeed.CallAsync(Callers, c => AskAsync(_dying, app.InContextAsync, c), ct),
                        app.StopPrimaryAsync()
                    )
            )
        );
        await app.StopStandbyAsync();
        await ReasonAsync(_dying, app.InContextAsync, ConnectionUnavailableReason.CircuitOpen);
        foreach (Asking ask in new Asking[] { app.InContextAsync, app.InReadOnlyContextAsync })
        {
            await ReasonAsync(_ofTwoHosts, ask, ConnectionUnavailableReason.NoHost);
        }

        await table.MeasureAsync(
            rounds,
            others,
            [
                BlastDeed.Nothing,
                new(
                    "throw and catch, in a loop, and ask for nothing",
                    ct => BlastDeed.CallAsync(Callers, ThrowAsync, ct)
                ),
                new("ask for a row whose only server is dead, in a loop", ct => CallAsync(_dying, null, ct)),
                new("the same of one server, each 10 ms after his answer", ct => CallAsync(_dying, Pause, ct)),
                new("ask for a row whose two servers are dead, in a loop", ct => CallAsync(_ofTwoHosts, null, ct)),
                new("the same of two servers, each 10 ms after his answer", ct => CallAsync(_ofTwoHosts, Pause, ct)),
            ]
        );
        await table.AddAsync(
            "ask for a row whose server is being stopped, in a loop: once, of the quiet before",
            dies.Median,
            dies.P99,
            dies.P99 / before.P99
        );
        await AnswersAsync(answers, report);
    }

    private async Task AnswersAsync(int answers, TextWriter report)
    {
        await report.WriteLineAsync();
        await report.WriteLineAsync($"| answers that ask no server | average, ms (goal: {Goal:0}) | p99, ms |");
        await report.WriteLineAsync("|---|---|---|");
        var (one, two) = (ConnectionUnavailableReason.CircuitOpen, ConnectionUnavailableReason.NoHost);
        await AnswerAsync("the only host is dead (`CircuitOpen`): a context", _dying, app.InContextAsync, one);
        await AnswerAsync("no host lets anybody in (`NoHost`): a context", _ofTwoHosts, app.InContextAsync, two);
        await AnswerAsync("a read-only context", _ofTwoHosts, app.InReadOnlyContextAsync, two);
        await AnswerAsync("`OpenTenantConnectionAsync`", _ofTwoHosts, app.OnConnectionAsync, two);

        async Task AnswerAsync(string name, Tenant tenant, Asking ask, ConnectionUnavailableReason expected)
        {
            var times = new List<double>();
            while (times.Count < answers)
            {
                var watch = Stopwatch.StartNew();
                var reason = await AskAsync(tenant, ask, CancellationToken.None);
                times.Add(watch.Elapsed.TotalMilliseconds);
                if (reason != expected)
                {
                    throw new InvalidOperationException($"'{name}' was answered {reason}.");
                }
            }

            times.Sort();
            var average = times.Average();
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {name} | {average:0.000}{(average > Goal ? " MISSED" : "")} | {times[times.Count * 99 / 100]:0.000} |"
                )
            );
        }
    }

    private Task CallAsync(Tenant tenant, TimeSpan? pause, CancellationToken ct) =>
        BlastDeed.CallAsync(
            Callers,
            async c =>
            {
                await AskAsync(tenant, app.InContextAsync, c);
                if (pause is { } wait)
                {
                    await Task.Delay(wait, CancellationToken.None);
                }
            },
            ct
        );

    // Whoever works without a pause takes the processors, whatever it is that he does.
    private static Task ThrowAsync(CancellationToken ct)
    {
        try
        {
            throw new InvalidOperationException();
        }
        catch (InvalidOperationException)
        {
            return Task.CompletedTask;
        }
    }

    private static Task ReasonAsync(Tenant tenant, Asking ask, ConnectionUnavailableReason reason) =>
        BlastDeed.UntilAsync(async () => await AskAsync(tenant, ask, CancellationToken.None) == reason);

    private static async Task<ConnectionUnavailableReason?> AskAsync(Tenant tenant, Asking ask, CancellationToken ct)
    {
        try
        {
            await ask(tenant, "SELECT 1", ct);
            return null;
        }
        catch (ConnectionUnavailableException e)
        {
            return e.Reason;
        }
        catch (Exception)
        {
            // Whatever it is that ends what the server was doing.
            return null;
        }
    }
}
