using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Which of a row's servers do not take its user or password.</summary>
internal static class HostRefusals
{
    /// <summary>Not long ago one of the servers has refused the row's password with this; null where it has not.</summary>
    public static PostgresException? RefusalAt(this HostPools pools, HostAddress host, DatabaseConnection row) =>
        pools.Find(host)?.Passwords.RefusalOf(row);

    /// <summary>With what all servers that connections are opened to have refused the row's password, not long ago; else null.</summary>
    public static PostgresException? RefusalOfAll(this HostPools pools, DatabaseConnection row)
    {
        var refusals = pools.HostsInUse.Select(host => host.Passwords.RefusalOf(row)).ToList();
        return refusals.Contains(null) ? null : refusals[0];
    }

    /// <summary>Notes that servers were told a password and none let the user in.</summary>
    public static void Refuse(
        this HostPools pools,
        IEnumerable<HostAddress> told,
        Secret password,
        PostgresException cause
    )
    {
        foreach (var host in told.Select(pools.Find))
        {
            host?.Passwords.Refuse(password, cause);
        }
    }

    private static RowHost? Find(this HostPools pools, HostAddress address) =>
        pools.Hosts.FirstOrDefault(host => host.Address == address);
}
