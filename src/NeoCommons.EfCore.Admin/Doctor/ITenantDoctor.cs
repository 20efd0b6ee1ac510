namespace NeoCommons.EfCore.Admin;

/// <summary>Compares the registry with the databases.</summary>
/// <remarks>Thread-safe, a singleton. It reads, unless it is told to mend.</remarks>
public interface ITenantDoctor
{
    /// <summary>Looks at every tenant and every schema, and tells what is not as it should be, as it is found.</summary>
    /// <param name="examination">What to look at, and whether to mend what is safe to.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="ConnectionUnavailableException">
    /// The admin database cannot be used. A tenant's database that cannot be is a finding.
    /// </exception>
    /// <exception cref="InvalidOperationException">The migrations are refused: see <see cref="ITenantMigrator"/>.</exception>
    IAsyncEnumerable<TenantFinding> ExamineAsync(TenantExamination? examination = null, CancellationToken ct = default);
}
