namespace NeoCommons.EfCore.Admin;

/// <summary>What a run over all tenants would do.</summary>
public sealed record FleetPlan
{
    /// <summary>The last migration that it would apply; null where there is none.</summary>
    public string? Target { get; init; }

    /// <summary>Every active and suspended tenant, ordered by slug.</summary>
    public required IReadOnlyList<PlannedTenant> Tenants { get; init; }

    /// <summary>Every migration that is known here, with the history that records it: what a run applies.</summary>
    internal IReadOnlyList<string> Migrations { get; init; } = [];

    /// <summary>Those that have something to do.</summary>
    public IEnumerable<PlannedTenant> Pending => Tenants.Where(t => t.State == PlannedTenantState.Pending);
}
