namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>All kinds of operations.</summary>
internal static class FuzzOperations
{
    public static IReadOnlyList<FuzzOperation> All { get; } =
    [
        // The short ones more often: they are most of what applications do.
        .. Reading.All,
        .. Reading.All,
        .. Reading.All,
        .. Reading.All,
        .. Writing.All,
        .. Writing.All,
        .. RawSql.All,
        .. Transactions.All,
    ];
}
