namespace NeoCommons.EfCore;

/// <summary>A guard stopped something that could have reached another tenant's data. Nothing was executed.</summary>
public sealed class TenantIsolationException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">What was stopped, and what to do instead.</param>
    /// <param name="expected">The tenant that the scope, context or connection belongs to, if any.</param>
    /// <param name="actual">The other tenant that it was used for, if known.</param>
    public TenantIsolationException(string message, TenantId? expected = null, TenantId? actual = null)
        : base(message)
    {
        ExpectedTenantId = expected;
        ActualTenantId = actual;
    }

    /// <summary>The tenant that the scope, context or connection belongs to, if any.</summary>
    public TenantId? ExpectedTenantId { get; }

    /// <summary>The other tenant that it was used for, if known.</summary>
    public TenantId? ActualTenantId { get; }
}
