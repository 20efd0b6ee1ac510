namespace NeoCommons.EfCore.Admin;

/// <summary>Makes changed rows of the admin database take effect in this process now.</summary>
/// <remarks>
/// A changed row takes effect within a second anyway. Thread-safe, a singleton.
/// </remarks>
public interface IRegistryReload
{
    /// <summary>Reads the connections again and forgets the cached tenants.</summary>
    /// <exception cref="ConnectionUnavailableException">
    /// The admin database cannot be asked; what was known before stays in force.
    /// </exception>
    Task ReloadAsync(CancellationToken ct = default);
}
