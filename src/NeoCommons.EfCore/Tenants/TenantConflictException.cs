namespace NeoCommons.EfCore;

/// <summary>A tenant cannot be created because its slug or its schema is taken. Nothing was changed.</summary>
public sealed class TenantConflictException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="slug">The slug of the tenant that was to be created.</param>
    /// <param name="message">What is taken, and what to do.</param>
    /// <param name="innerException">The error that showed it, if any.</param>
    public TenantConflictException(string slug, string message, Exception? innerException = null)
        : base(message, innerException) => Slug = slug;

    /// <summary>The slug of the tenant that was to be created.</summary>
    public string Slug { get; }
}
