namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>What somebody does while the others work.</summary>
/// <param name="Name">How the report names it.</param>
/// <param name="DoAsync">Does it until it is cancelled.</param>
/// <param name="BeganAsync">Waits until it is under way; null: the others are measured from its first moment on.</param>
internal sealed record BlastDeed(string Name, Func<CancellationToken, Task> DoAsync, Func<Task>? BeganAsync = null)
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>What the others are compared with.</summary>
    public static BlastDeed Nothing { get; } = new("nothing", _ => Task.CompletedTask);

    /// <summary>Callers who do not stop.</summary>
    public static Task CallAsync(int callers, Func<CancellationToken, Task> once, CancellationToken ct) =>
        Task.WhenAll(
            Enumerable
                .Range(0, callers)
                .Select(_ =>
                    Task.Run(
                        async () =>
                        {
                            while (!ct.IsCancellationRequested)
                            {
                                await once(ct);

                                // Who is answered at once would keep his thread, of which there are two.
                                await Task.Yield();
                            }
                        },
                        CancellationToken.None
                    )
                )
        );

    /// <summary>Waits until something is so.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        using var patience = new CancellationTokenSource(Longest);
        while (!await isSo())
        {
            await Task.Delay(20, patience.Token);
        }
    }
}
