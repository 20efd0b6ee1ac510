using System.Diagnostics;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>For what the server notices a moment later.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static async Task EqualAsync(long expected, Func<Task<long>> read)
    {
        var waiting = Stopwatch.StartNew();
        while (true)
        {
            var actual = await read();
            if (expected == actual || waiting.Elapsed > Patience)
            {
                Assert.Equal(expected, actual);
                return;
            }

            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    public static Task TrueAsync(Func<Task<bool>> read) => EqualAsync(1, async () => await read() ? 1 : 0);
}
