namespace NeoCommons.EfCore.Testing;

/// <summary>Lets everybody pass while it is open, and nobody while it is closed.</summary>
internal sealed class Gate
{
    private volatile TaskCompletionSource _opened = Opened();

    public bool IsOpen => _opened.Task.IsCompleted;

    public Task WaitAsync(CancellationToken ct) => _opened.Task.WaitAsync(ct);

    public void Close()
    {
        if (IsOpen)
        {
            _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public void Open() => _opened.TrySetResult();

    private static TaskCompletionSource Opened()
    {
        var opened = new TaskCompletionSource();
        opened.SetResult();
        return opened;
    }
}
