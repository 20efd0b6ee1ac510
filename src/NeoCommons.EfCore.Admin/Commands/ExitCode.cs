namespace NeoCommons.EfCore.Admin;

/// <summary>What a command tells the shell; docs/commands.md lists them, and scripts rely on the numbers.</summary>
internal enum ExitCode
{
    /// <summary>Done.</summary>
    Ok = 0,

    /// <summary>Something failed, a migration of one of many tenants for instance; or something is not as it should be.</summary>
    Failed = 1,

    /// <summary>The command line is wrong, or a value in it.</summary>
    Usage = 2,

    /// <summary>There is no such tenant or connection.</summary>
    NotFound = 3,

    /// <summary>A database cannot be used now, or a tenant.</summary>
    Unavailable = 4,

    /// <summary>What is there already stands in the way.</summary>
    Conflict = 5,

    /// <summary>The application is not configured for it.</summary>
    Configuration = 6,

    /// <summary>Ctrl-C, or a signal: 128 + SIGINT, as shells count.</summary>
    Cancelled = 130,
}
