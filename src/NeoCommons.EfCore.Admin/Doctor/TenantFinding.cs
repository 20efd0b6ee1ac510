namespace NeoCommons.EfCore.Admin;

/// <summary>Something that is not as it should be.</summary>
public sealed record TenantFinding
{
    /// <summary>What it is.</summary>
    public required TenantFindingKind Kind { get; init; }

    /// <summary>The connection.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>The tenant's slug; null where there is no tenant.</summary>
    public string? Slug { get; init; }

    /// <summary>The schema; null where it is not about one.</summary>
    public string? Schema { get; init; }

    /// <summary>What was found.</summary>
    public required string Message { get; init; }

    /// <summary>What to do about it.</summary>
    public required string Remedy { get; init; }

    /// <summary>Whether it is safe to mend, so that <see cref="TenantExamination.Mend"/> does.</summary>
    public bool CanBeMended { get; init; }

    /// <summary>Whether it was mended.</summary>
    public bool IsMended { get; init; }
}
