namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.migration_runs</c>: the migration of many tenants, by one process or several.</summary>
public class MigrationRunEntity
{
    /// <summary>The key.</summary>
    public Guid Id { get; set; }

    /// <summary>How far it got, in lower case in the column.</summary>
    public MigrationRunStatus Status { get; set; }

    /// <summary>The last migration that the run applies.</summary>
    public required string Target { get; set; }

    /// <summary>Every migration that the application knows that began it, with its history; one a line.</summary>
    public required string Migrations { get; set; }

    /// <summary>Who asked for it: user and machine.</summary>
    public required string StartedBy { get; set; }

    /// <summary>How many tenants may fail before no more are begun; null: any number.</summary>
    public int? ErrorBudget { get; set; }

    /// <summary>When it was begun. Set by the database.</summary>
    public DateTimeOffset StartedAt { get; private set; }

    /// <summary>When the last tenant was done, or the run ended otherwise; null while it goes on.</summary>
    public DateTimeOffset? FinishedAt { get; set; }
}
