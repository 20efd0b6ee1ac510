using System.Transactions;

namespace NeoCommons.EfCore;

/// <summary>The <c>TransactionScope</c> that the caller is in.</summary>
/// <remarks>
/// Between <c>Complete()</c> and the end of the scope <see cref="Transaction.Current"/> throws. Contexts end there, whose connections
/// the scope still holds: what they give back they must give back.
/// </remarks>
internal static class AmbientScope
{
    private const string Completed = "completed";

    /// <summary>Whether there is one.</summary>
    public static bool IsPresent => Id is not null;

    /// <summary>What it is called; null where there is none.</summary>
    public static string? Id =>
        TryGet(out var transaction) ? transaction?.TransactionInformation.LocalIdentifier : Completed;

    /// <summary>Finds its transaction, if there is one; false where there is, and cannot be had any more.</summary>
    public static bool TryGet(out Transaction? transaction)
    {
        try
        {
            transaction = Transaction.Current;
            return true;
        }
        catch (InvalidOperationException)
        {
            transaction = null;
            return false;
        }
    }

    /// <summary>Whether the scope of this name is over, as far as can be told from here.</summary>
    public static bool IsOver(string scope) => Id is var now && now != scope && now != Completed;
}
