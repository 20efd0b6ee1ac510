namespace NeoCommons.EfCore;

/// <summary>What a connection of a pool is opened for.</summary>
internal enum OpenUse
{
    /// <summary>For a lease that stays with its pool: a context's work begins and ends in one database.</summary>
    Lease,

    /// <summary>For a caller that has nothing yet, and asks for the row's present pool when this one is replaced.</summary>
    Movable,

    /// <summary>For a session of its own, beside the pool.</summary>
    Unpooled,

    /// <summary>For a look at one server, which all other opens wait for once.</summary>
    Look,
}
