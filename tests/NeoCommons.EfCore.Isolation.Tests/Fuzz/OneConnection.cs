namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>A registry of one row.</summary>
internal sealed class OneConnection(DatabaseConnection row) : IConnectionRegistry
{
    public ValueTask<DatabaseConnection?> FindAsync(string name, CancellationToken ct = default) =>
        ValueTask.FromResult(name == row.Name ? row : null);

    public ValueTask<IReadOnlyList<DatabaseConnection>> ListAsync(CancellationToken ct = default) =>
        ValueTask.FromResult<IReadOnlyList<DatabaseConnection>>([row]);
}
