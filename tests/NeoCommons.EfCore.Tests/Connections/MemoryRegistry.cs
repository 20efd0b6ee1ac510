using System.Collections.Concurrent;

namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A registry whose rows a test changes as an operator would.</summary>
internal sealed class MemoryRegistry : IConnectionRegistry
{
    private readonly ConcurrentDictionary<string, DatabaseConnection> _rows = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<object, Action<string>> _listeners = new();
    private int _lookups;
    private int _lists;

    public int Lookups => Volatile.Read(ref _lookups);

    /// <summary>How often somebody has asked for all of them.</summary>
    public int Lists => Volatile.Read(ref _lists);

    /// <summary>What looking up throws, where the registry itself is to fail.</summary>
    public Exception? Failure { get; set; }

    /// <summary>What a forced look at a row does.</summary>
    public Func<string, Task>? Refreshing { get; set; }

    /// <summary>What a lookup waits for after it has read its row.</summary>
    public Func<Task>? Delay { get; set; }

    public DatabaseConnection this[string name] => _rows[name];

    /// <summary>Tells those who listen that a row has changed; nothing else does.</summary>
    public void Tell(string name)
    {
        foreach (var listener in _listeners.Values)
        {
            listener(name);
        }
    }

    public IDisposable OnChange(Action<string> listener)
    {
        var subscription = new Subscription(_listeners);
        _listeners[subscription] = listener;
        return subscription;
    }

    public void Set(DatabaseConnection row) => _rows[row.Name] = row;

    public DatabaseConnection Change(string name, Func<DatabaseConnection, DatabaseConnection> change) =>
        _rows[name] = change(_rows[name]);

    public void Remove(string name) => _rows.TryRemove(name, out _);

    public async ValueTask RefreshAsync(string name, CancellationToken ct = default) =>
        await (Refreshing?.Invoke(name) ?? Task.CompletedTask).WaitAsync(ct);

    public ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default)
    {
        Interlocked.Increment(ref _lookups);
        if (Delay is { } delay)
        {
            return FindSlowlyAsync(_rows.GetValueOrDefault(name), delay());
        }

        return Failure is { } failure
            ? ValueTask.FromException<DatabaseConnection?>(failure)
            : ValueTask.FromResult(_rows.GetValueOrDefault(name));
    }

    private sealed class Subscription(ConcurrentDictionary<object, Action<string>> all) : IDisposable
    {
        public void Dispose() => all.TryRemove(this, out _);
    }

    private static async ValueTask<DatabaseConnection?> FindSlowlyAsync(DatabaseConnection? found, Task delay)
    {
        await delay;
        return found;
    }

    public ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default)
    {
        Interlocked.Increment(ref _lists);
        return ValueTask.FromResult<IReadOnlyList<DatabaseConnection>>([
            .. _rows.Values.OrderBy(row => row.Name, StringComparer.Ordinal),
        ]);
    }
}
