namespace NeoCommons.EfCore.Admin;

/// <summary>A tenant is in a state in which what was asked for cannot be done. Nothing was changed.</summary>
public sealed class TenantStateException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="slug">The tenant's slug.</param>
    /// <param name="status">The status that stands in the way.</param>
    /// <param name="message">What was refused, and what to do.</param>
    public TenantStateException(string slug, TenantStatus status, string message)
        : base(message)
    {
        Slug = slug;
        Status = status;
    }

    /// <summary>The tenant's slug.</summary>
    public string Slug { get; }

    /// <summary>The status that stands in the way.</summary>
    public TenantStatus Status { get; }
}
