namespace NeoCommons.EfCore;

/// <summary>The base of every exception that this library throws of its own.</summary>
/// <remarks>
/// A message names the remedy and the current values and never holds a secret. Errors of a statement are not wrapped:
/// a <see cref="Npgsql.PostgresException"/> reaches the caller as the server sent it.
/// </remarks>
public abstract class NeoCommonsException : Exception
{
    private protected NeoCommonsException(string message, Exception? innerException = null)
        : base(message, innerException) { }
}
