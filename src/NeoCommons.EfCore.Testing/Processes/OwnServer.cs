namespace NeoCommons.EfCore.Testing;

/// <summary>A server that we start, stop and start again on one port and in one folder, which goes with it.</summary>
internal sealed class OwnServer(InstanceDirectory directory, ServerRecipe recipe) : IAsyncDisposable
{
    private const int PortAttempts = 5;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _gate = new(1);
    private ServerProcess? _process;
    private bool _disposed;

    public int Port { get; private set; }

    /// <summary>Starts it on a free port and disposes it when that fails.</summary>
    public static async Task<OwnServer> StartAsync(
        InstanceDirectory directory,
        ServerRecipe recipe,
        CancellationToken ct
    )
    {
        var server = new OwnServer(directory, recipe);
        try
        {
            for (var attempt = 0; attempt < PortAttempts; attempt++)
            {
                server.Port = Ports.Pick();
                if (await server.TryStartAsync(ct).ConfigureAwait(false))
                {
                    return server;
                }
            }

            throw server.Failed($"found its port taken {PortAttempts} times");
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task StartAgainAsync(CancellationToken ct)
    {
        await _gate.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_process is null or { HasExited: true } && !await TryStartAsync(ct).ConfigureAwait(false))
            {
                throw Failed($"did not start again: somebody else took its port {Port}");
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task StopAsync(Signal signal, CancellationToken ct)
    {
        await _gate.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            await StopProcessAsync(signal).ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Send(Signal signal) => _process?.Send(signal);

    public async ValueTask DisposeAsync()
    {
        await _gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            // A frozen PostgreSQL would not hear the next one.
            Send(Signal.Continue);
            await StopProcessAsync(recipe.DeathSignal).ConfigureAwait(false);
            _disposed = true;
            directory.Dispose();
        }
        finally
        {
            _gate.Release();
        }
    }

    private Task StopProcessAsync(Signal signal) => _process?.StopAsync(signal, s_stopTimeout) ?? Task.CompletedTask;

    /// <summary>Starts it on the current port and waits until it is ready; false when the port is taken.</summary>
    private async Task<bool> TryStartAsync(CancellationToken ct)
    {
        File.Delete(directory.LogFile);
        var command = recipe.Prepare(directory, Port);
        _process = await ServerProcess
            .StartAsync(directory, recipe.User, recipe.DeathSignal, command)
            .ConfigureAwait(false);

        using var deadline = new CancellationTokenSource(recipe.StartTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, ct);
        try
        {
            while (!recipe.IsReady(directory, _process))
            {
                if (_process.HasExited)
                {
                    return directory.ReadLog().Contains("Address already in use", StringComparison.Ordinal)
                        ? false
                        : throw Failed("ended while it was starting");
                }

                await Task.Delay(s_poll, TimeProvider.System, either.Token).ConfigureAwait(false);
            }

            return true;
        }
        catch (OperationCanceledException)
        {
            await StopProcessAsync(recipe.DeathSignal).ConfigureAwait(false);
            ct.ThrowIfCancellationRequested();
            throw Failed($"was not ready within {recipe.StartTimeout}");
        }
    }

    private ServerStartException Failed(string what) => new($"{recipe.Name} {what}.", directory.ReadLog());
}
