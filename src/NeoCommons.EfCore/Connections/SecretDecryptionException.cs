namespace NeoCommons.EfCore;

/// <summary>A stored secret cannot be read. Only the connection that it belongs to is affected.</summary>
public sealed class SecretDecryptionException : NeoCommonsException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">What cannot be read and what to do; never the secret or the token.</param>
    /// <param name="connectionName">The connection whose password it is, if known.</param>
    public SecretDecryptionException(string message, string? connectionName = null)
        : base(message) => ConnectionName = connectionName;

    /// <summary>The connection whose password cannot be read, if known.</summary>
    public string? ConnectionName { get; }
}
