namespace NeoCommons.EfCore.Admin;

/// <summary>Where processes share what they know of the registry. Bound from section <c>NeoCommons:Redis</c>.</summary>
public sealed class RegistryCacheOptions
{
    /// <summary>
    /// Redis, as <c>redis://user:password@host:6379/0</c> (<c>rediss://</c> with TLS) or as keywords of
    /// StackExchange.Redis. <value>Default: configuration key <c>REDIS_URL</c>; where that is not set either, nothing is
    /// shared.</value>
    /// </summary>
    public string? ConnectionString { get; set; }

    /// <summary>What the keys begin with. <value>Default: <c>neocommons:</c>; the database follows, so that two may share a Redis.</value></summary>
    public string KeyPrefix { get; set; } = "neocommons:";

    /// <summary>
    /// How long Redis is waited for before the admin database is asked instead. <value>Default: 250 ms; 10 ms to
    /// 10 s.</value>
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a Redis that has failed is not asked at all. <value>Default: 5 s; 500 ms to 1 day.</value></summary>
    public TimeSpan BreakDuration { get; set; } = TimeSpan.FromSeconds(5);
}
