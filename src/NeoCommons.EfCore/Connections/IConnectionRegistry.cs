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
}
