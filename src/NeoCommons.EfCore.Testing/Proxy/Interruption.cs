namespace NeoCommons.EfCore.Testing;

/// <summary>What happens before the n-th piece of data is passed on, once.</summary>
internal sealed class Interruption(int number, ProxyDirection direction, Func<Task> act)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _pieces;

    /// <summary>Ends as the callback does.</summary>
    public Task Ended => _ended.Task;

    public async Task PassAsync(ProxyDirection way)
    {
        if (!direction.HasFlag(way) || Interlocked.Increment(ref _pieces) != number)
        {
            return;
        }

        try
        {
            await act().ConfigureAwait(false);
            _ended.TrySetResult();
        }
        catch (Exception e)
        {
            // It is the caller's, who waits for it.
            _ended.TrySetException(e);
        }
    }

    public void GiveUp() => _ended.TrySetCanceled();
}
