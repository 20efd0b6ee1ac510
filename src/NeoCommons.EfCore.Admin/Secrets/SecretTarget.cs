namespace NeoCommons.EfCore.Admin;

/// <summary>Whom a stored password is for. A token that was written for one target is refused for another.</summary>
/// <param name="Host">The host, as it stands in the row.</param>
/// <param name="Port">The TCP port.</param>
/// <param name="Database">The database.</param>
/// <param name="Username">The role to log in as.</param>
public sealed record SecretTarget(string Host, int Port, string Database, string Username)
{
    /// <summary>The target of a row as it is now.</summary>
    public static SecretTarget Of(DatabaseConnectionEntity row)
    {
        ArgumentNullException.ThrowIfNull(row);
        return new SecretTarget(row.Host, row.Port, row.DatabaseName, row.Username);
    }

    internal static SecretTarget Of(DatabaseConnection row) => new(row.Host, row.Port, row.Database, row.Username);

    /// <summary>As <c>user@host:port/database</c>.</summary>
    public override string ToString() => $"{Username}@{Host}:{Port}/{Database}";
}
