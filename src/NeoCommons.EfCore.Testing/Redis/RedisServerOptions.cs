namespace NeoCommons.EfCore.Testing;

/// <summary>How <see cref="RedisServer.StartAsync"/> finds or starts a server. Read once, at the start.</summary>
public sealed class RedisServerOptions
{
    /// <summary>The only source to use.</summary>
    /// <value>Default: null, every source is tried in the order of <see cref="ServerSource"/>.</value>
    public ServerSource? Source { get; set; }

    /// <summary>The password that clients must give. An external server keeps its own.</summary>
    /// <value>Default: null, no password.</value>
    public string? Password { get; set; }

    /// <summary>The image of <see cref="ServerSource.Container"/>.</summary>
    /// <value>Default: <c>redis:7-alpine</c>.</value>
    public string ContainerImage { get; set; } = "redis:7-alpine";
}
