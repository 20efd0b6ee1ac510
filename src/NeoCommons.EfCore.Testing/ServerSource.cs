namespace NeoCommons.EfCore.Testing;

/// <summary>Where a test server comes from. The values are in the order in which they are tried.</summary>
public enum ServerSource
{
    /// <summary>A server that somebody else runs, named by an environment variable. It is never stopped from here.</summary>
    External,

    /// <summary>Installed binaries: a throwaway server of our own, which dies with this process.</summary>
    Binaries,

    /// <summary>A container, started through Testcontainers.</summary>
    Container,
}
