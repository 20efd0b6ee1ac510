namespace NeoCommons.EfCore.Admin;

/// <summary>How far one tenant got in a run.</summary>
public enum TenantMigrationState
{
    /// <summary>It has pending migrations, and nobody has begun.</summary>
    Pending,

    /// <summary>A runner works at it; one that has died is noticed, and another goes on.</summary>
    Running,

    /// <summary>It is at the run's target, or ahead of it.</summary>
    Done,

    /// <summary>It failed and is as it was before.</summary>
    Failed,
}
