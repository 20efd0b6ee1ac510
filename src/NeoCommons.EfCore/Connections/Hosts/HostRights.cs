namespace NeoCommons.EfCore;

/// <summary>What a server lets the row's role ask of it.</summary>
[Flags]
internal enum HostRights
{
    /// <summary>Whether it is a primary; everybody may.</summary>
    None = 0,

    /// <summary><c>pg_control_system</c>: what it has in common with those that it replicates.</summary>
    System = 1,

    /// <summary><c>pg_control_checkpoint</c>: the timeline of its last checkpoint.</summary>
    Checkpoint = 2,

    /// <summary><c>pg_control_recovery</c>: the timeline that it has to reach.</summary>
    Recovery = 4,

    /// <summary>Its position in the log, and the timeline that it is on.</summary>
    Log = 8,

    /// <summary>All of it.</summary>
    All = System | Checkpoint | Recovery | Log,
}
