using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which faults say that the server has rolled back what it was asked to do.</summary>
internal static class RolledBack
{
    /// <summary>Whether this one does.</summary>
    /// <remarks>
    /// 40003, "statement completion unknown", is of the class too. A server that ends a session (57P01) may have committed.
    /// </remarks>
    public static bool Is(Exception e) =>
        e is PostgresException { SqlState: not "40003" and (['4', '0', ..] or ['5', '3', ..] or ['5', '5', ..]) };
}
