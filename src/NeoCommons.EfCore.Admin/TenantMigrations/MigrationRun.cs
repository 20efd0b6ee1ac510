namespace NeoCommons.EfCore.Admin;

/// <summary>A run over many tenants, as it stands.</summary>
public sealed record MigrationRun
{
    /// <summary>The run in <c>admin.migration_runs</c>; null where there was nothing to do, so that none was begun.</summary>
    public Guid? Id { get; init; }

    /// <summary>How far it got.</summary>
    public required MigrationRunStatus Status { get; init; }

    /// <summary>The last migration that it applies; null where there is none.</summary>
    public string? Target { get; init; }

    /// <summary>When it was begun.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended, or null.</summary>
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Tenants that nobody has begun.</summary>
    public int Pending { get; init; }

    /// <summary>Tenants that somebody works at, or did when it died.</summary>
    public int Running { get; init; }

    /// <summary>Tenants that are done.</summary>
    public int Done { get; init; }

    /// <summary>Tenants that failed.</summary>
    public int Failed { get; init; }

    /// <summary>Workers of all processes that are alive. None, and the run goes on: start it again to resume it.</summary>
    public int Workers { get; init; }

    /// <summary>The tenants that failed, the first hundred by slug; empty in reports of progress.</summary>
    public IReadOnlyList<MigrationFailure> Failures { get; init; } = [];

    /// <summary>All tenants of the run: those that had something to do when it was planned.</summary>
    public int Total => Pending + Running + Done + Failed;
}
