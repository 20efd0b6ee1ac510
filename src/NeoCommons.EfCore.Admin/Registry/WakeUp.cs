using System.Threading.Channels;

namespace NeoCommons.EfCore.Admin;

/// <summary>Wakes whoever waits for it: once, however often it is called until then. Thread-safe, for one that waits.</summary>
internal sealed class WakeUp
{
    private readonly Channel<bool> _calls = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }
    );

    public void Call() => _calls.Writer.TryWrite(true);

    /// <summary>Waits for a call, but no longer than this; a call that nobody has waited for yet counts.</summary>
    public async Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken ct)
    {
        using var elapsed = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, ct);
        try
        {
            await _calls.Reader.ReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody has called.
        }
    }
}
