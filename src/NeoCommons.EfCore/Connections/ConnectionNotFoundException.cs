namespace NeoCommons.EfCore;

/// <summary>No connection of this name is registered.</summary>
public sealed class ConnectionNotFoundException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    public ConnectionNotFoundException(string connectionName)
        : base(
            $"No connection '{connectionName}' is registered. Register it with 'connections add' or a row of admin.database_connections, or correct "
                + "the name; names are compared letter by letter."
        ) => ConnectionName = connectionName;

    /// <summary>The name that was asked for.</summary>
    public string ConnectionName { get; }
}
