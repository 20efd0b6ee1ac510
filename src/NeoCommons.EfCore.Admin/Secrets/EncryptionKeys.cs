namespace NeoCommons.EfCore.Admin;

/// <summary>The keys, asked for once and kept for the life of the process.</summary>
internal sealed class EncryptionKeys(IEncryptionKeySource source, TimeProvider time)
{
    /// <summary>How long a source may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private FernetKeys? _keys;
    private Task<FernetKeys>? _asking;

    /// <summary>The keys.</summary>
    /// <exception cref="FormatException">What the source gave are no keys.</exception>
    /// <exception cref="TimeoutException">It gave none in time.</exception>
    public ValueTask<FernetKeys> GetAsync(CancellationToken ct)
    {
        if (Volatile.Read(ref _keys) is { } keys)
        {
            return new(keys);
        }

        lock (_lock)
        {
            // One question for all who wait; whoever stops waiting does not end it.
            if (_asking is null || _asking.IsCompleted)
            {
                _asking = Task.Run(AskAsync, CancellationToken.None).LetGo();
            }

            return new(_asking.WaitAsync(ct));
        }
    }

    private async Task<FernetKeys> AskAsync()
    {
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            var asking = Task.Run(() => source.ReadAsync(limit.Token).AsTask(), limit.Token).LetGo();
            var keys = FernetKeys.Parse(await asking.WaitAsync(limit.Token).ConfigureAwait(false));
            Volatile.Write(ref _keys, keys);
            return keys;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new TimeoutException(
                $"{source.GetType().Name} gave no encryption keys within {Patience.TotalSeconds} s. See to it that what it "
                    + "asks can be reached from here; it is asked again at the next start or use."
            );
        }
    }
}
