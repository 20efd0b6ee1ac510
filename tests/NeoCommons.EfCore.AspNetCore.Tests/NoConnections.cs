namespace NeoCommons.EfCore.AspNetCore.Tests;

/// <summary>No database: nothing here opens one.</summary>
public sealed class NoConnections : IConnectionRegistry
{
    public ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default) => default;

    public ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default) =>
        ValueTask.FromResult<IReadOnlyList<DatabaseConnection>>([]);
}
