using System.Transactions;

namespace NeoCommons.EfCore.Admin;

/// <summary>Keeps our own work out of the caller's <see cref="TransactionScope"/>.</summary>
/// <remarks>
/// A schema in one database and a row in another cannot be rolled back together, so neither may be part of a transaction
/// that the caller can still abandon.
/// </remarks>
internal static class AmbientTransaction
{
    public static TransactionScope Suppress() =>
        new(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
}
