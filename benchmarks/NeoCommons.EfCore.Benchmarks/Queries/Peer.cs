namespace NeoCommons.EfCore.Benchmarks.Queries;

/// <summary>One way to have tenants, or none, with what it does for one of them.</summary>
internal abstract class Peer(string name)
{
    /// <summary>How many statements are prepared on the connection that asks.</summary>
    protected const string Prepared = "SELECT count(*) AS \"Value\" FROM pg_prepared_statements";

    public string Name { get; } = name;

    /// <summary>How many of the tenants it serves, where it needs connections for each of them.</summary>
    public int MostTenants { get; init; } = int.MaxValue;

    /// <summary>For how many tenants it is quick, where it keeps something for each of them and has not room for many.</summary>
    public int QuickTenants { get; init; } = int.MaxValue;

    /// <summary>Whether it prepares statements.</summary>
    public bool Prepares { get; init; }

    /// <summary>How many times fewer operations it is given with so many tenants, since one takes that much longer.</summary>
    public int SlownessWith(int tenants) => tenants > QuickTenants ? 20 : 1;

    public abstract Task ReadAsync(int tenant, int id);

    public abstract Task ListAsync(int tenant);

    public abstract Task InsertAsync(int tenant, int count);

    public abstract Task UpdateAsync(int tenant, int id);

    /// <summary>As a request does it: reads one, reads a page, changes the one and saves.</summary>
    public abstract Task RequestAsync(int tenant, int id);

    /// <summary>How many statements are prepared on a connection of its pool.</summary>
    public abstract Task<long> CountPreparedAsync();
}
