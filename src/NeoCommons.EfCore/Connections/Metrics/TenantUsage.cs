namespace NeoCommons.EfCore;

/// <summary>
/// What one tenant takes of one connection in this process. The window is <see cref="ConnectionOptions.MetricsWindow"/>; see
/// docs/metrics.md.
/// </summary>
public sealed record TenantUsage
{
    /// <summary>The tenant.</summary>
    public required TenantId TenantId { get; init; }

    /// <summary>Its slug.</summary>
    public required string Slug { get; init; }

    /// <summary>The connection; a tenant that uses two has two entries.</summary>
    public required string ConnectionName { get; init; }

    /// <summary>Connections that it holds now.</summary>
    public int Open { get; init; }

    /// <summary>Callers that wait for one of its connections now, at its own limit; who waits at the pool's is not told apart.</summary>
    public int Waiting { get; init; }

    /// <summary>
    /// How long it has held connections: those that came back in the window, each with its whole time, and the time so far of
    /// those that are open.
    /// </summary>
    public TimeSpan ConnectionTime { get; init; }

    /// <summary>Connections that it was given in the window.</summary>
    public long Acquisitions { get; init; }

    /// <summary>Commands that EF has sent for it in the window; those on raw connections are not counted.</summary>
    public long Commands { get; init; }

    /// <summary>How often it was refused at one of its limits in the window.</summary>
    public long Refusals { get; init; }
}
