namespace NeoCommons.EfCore;

/// <summary>A search path, and whether the session may write.</summary>
internal readonly record struct SearchPathBinding(string Path, bool IsReadOnly)
{
    /// <summary>The statement that binds.</summary>
    /// <param name="inTransaction">
    /// Whether the connection opens into a <c>TransactionScope</c>. The driver gives such a connection back to the pool
    /// without a reset, so what is set there must end with the transaction; and <c>default_transaction_read_only</c> would
    /// come too late for a transaction that has begun.
    /// </param>
    public string Sql(bool inTransaction) =>
        (inTransaction, IsReadOnly) switch
        {
            (false, false) => "SET search_path = " + Path,
            (false, true) => "SET search_path = " + Path + "; SET default_transaction_read_only = on",
            (true, false) => "SET LOCAL search_path = " + Path,
            (true, true) => "SET LOCAL search_path = " + Path + "; SET LOCAL transaction_read_only = on",
        };
}
