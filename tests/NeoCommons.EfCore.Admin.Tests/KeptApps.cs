namespace NeoCommons.EfCore.Admin.Tests;

/// <summary>Applications that the tests of a class share, each started when the first one asks for it.</summary>
public sealed class KeptApps : IAsyncDisposable
{
    private readonly Dictionary<string, IAsyncDisposable> _started = new(StringComparer.Ordinal);

    /// <summary>The tests of a class run one after the other, so nobody else asks meanwhile.</summary>
    public async Task<T> GetAsync<T>(string settings, Func<Task<T>> start)
        where T : IAsyncDisposable
    {
        if (!_started.TryGetValue(settings, out var app))
        {
            _started[settings] = app = await start();
        }

        return (T)app;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var app in _started.Values)
        {
            await app.DisposeAsync();
        }
    }
}
