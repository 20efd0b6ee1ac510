namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>One row of the matrix: how the library is set up, and how hard it is worked.</summary>
/// <param name="Name">For the test's name.</param>
public sealed record FuzzCase(string Name)
{
    public int Tenants { get; init; } = 16;

    public int Workers { get; init; } = 16;

    /// <summary>Less than the workers, so that connections go from tenant to tenant.</summary>
    public int PoolSize { get; init; } = 6;

    /// <summary>Whether contexts go from tenant to tenant through EF's pool.</summary>
    public bool PooledContexts { get; init; }

    /// <summary>Whether EF's retry on failure is on.</summary>
    public bool Retry { get; init; }

    /// <summary>Whether idle connections are tried before use.</summary>
    public bool PrePing { get; init; } = true;

    /// <summary>Whether the bind travels with the first command, or is executed.</summary>
    public bool Prepend { get; init; } = true;

    public SessionReset Reset { get; init; }

    public SchemaBinding Binding { get; init; }

    /// <summary>Whether a transaction pooler stands before the database, with fewer server connections than clients.</summary>
    public bool BehindPooler { get; init; }

    /// <summary>How many statements a connection keeps prepared.</summary>
    public int Prepared { get; init; }

    /// <summary>Whether each tenant has a role.</summary>
    public bool TenantRoles { get; init; }

    public override string ToString() => Name;
}
