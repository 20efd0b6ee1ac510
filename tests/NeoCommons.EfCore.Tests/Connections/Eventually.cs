using System.Diagnostics;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>Waits for a state that another process or thread brings about; how long that takes is not asserted.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task EqualAsync<T>(T expected, Func<Task<T>> read)
    {
        var waiting = Stopwatch.StartNew();
        while (true)
        {
            var actual = await read();
            if (EqualityComparer<T>.Default.Equals(expected, actual) || waiting.Elapsed > Patience)
            {
                Assert.Equal(expected, actual);
                return;
            }

            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public static Task TrueAsync(Func<Task<bool>> read) => EqualAsync(true, read);

    public static Task TrueAsync(Func<bool> read) => EqualAsync(true, () => Task.FromResult(read()));
}
