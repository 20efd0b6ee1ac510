using System.Diagnostics;

namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>Tenants who do no harm, one caller each.</summary>
/// <param name="app">The application.</param>
/// <param name="row">Their row.</param>
/// <param name="ask">How they ask.</param>
/// <param name="operations">How often each.</param>
internal sealed class BlastOthers(BlastApp app, string row, Asking ask, int operations)
{
    public const int Count = 8;

    // What was closed is opened again before it is measured.
    private const int WarmUp = 20;

    private readonly List<Tenant> _tenants = [.. Enumerable.Range(0, Count).Select(_ => app.NewTenant(row))];

    /// <summary>Their times while this is done.</summary>
    public async Task<(double Median, double P99)> BesideAsync(BlastDeed deed)
    {
        await MeasureAsync(WarmUp);
        using var over = new CancellationTokenSource();
        var doing = deed.DoAsync(over.Token);
        if (deed.BeganAsync is { } began)
        {
            await began();
        }

        var times = await MeasureAsync(operations);
        await over.CancelAsync();
        await doing;
        return times;
    }

    private async Task<(double Median, double P99)> MeasureAsync(int count)
    {
        var times = await Task.WhenAll(_tenants.Select(tenant => Task.Run(() => WorkAsync(tenant, count))));
        double[] all = [.. times.SelectMany(t => t).Order()];
        return (all[all.Length / 2], all[all.Length * 99 / 100]);
    }

    private async Task<double[]> WorkAsync(Tenant tenant, int count)
    {
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            var watch = Stopwatch.StartNew();
            await ask(tenant, "SELECT 1", CancellationToken.None);
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        return times;
    }
}
