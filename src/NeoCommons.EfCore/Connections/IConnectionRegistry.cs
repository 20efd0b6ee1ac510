namespace NeoCommons.EfCore;

/// <summary>Finds registered databases. Replace it to keep them somewhere other than the admin database.</summary>
/// <remarks>
/// Thread-safe, a singleton, and on the hot path: every new context asks it, so an implementation answers from memory.
/// Return the same instance for as long as a row has not changed. "Not found" is null; "could not look" is an exception.
/// </remarks>
public interface IConnectionRegistry
{
    /// <summary>The connection of this name (ordinal comparison), active or not, or null.</summary>
    ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default);

    /// <summary>All connections, active or not, ordered by name.</summary>
    ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default);

    /// <summary>Calls back with the name of each connection that was added, changed or removed.</summary>
    /// <param name="listener">
    /// Called one change after the other, not on the caller's thread, when <see cref="FindAsync"/> knows it already. It must
    /// not block. A change may be told twice; none is missed, unless the process has been cut off for a day.
    /// </param>
    /// <returns>Dispose it to hear no more.</returns>
    /// <remarks>The default never calls: a registry whose rows do not change.</remarks>
    IDisposable OnChange(Action<string> listener) => NoSubscription.Instance;

    /// <summary>Reads a row again now, because what is known of it does not work: a password that the server refuses.</summary>
    /// <remarks>The default does nothing: a registry that is always up to date.</remarks>
    ValueTask RefreshAsync(string name, CancellationToken ct = default) => default;
}
