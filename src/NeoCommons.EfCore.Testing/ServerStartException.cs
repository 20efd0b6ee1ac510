namespace NeoCommons.EfCore.Testing;

/// <summary>A test server was found but did not start. The message ends with the last lines of its own log.</summary>
public sealed class ServerStartException : Exception
{
    internal ServerStartException(string message, string log, Exception? inner = null)
        : base(log.Length == 0 ? message : $"{message}{Environment.NewLine}{log}", inner)
    {
        Log = log;
    }

    /// <summary>The last lines that the server, or the tool that prepares it, wrote. Empty when it wrote nothing.</summary>
    public string Log { get; }
}
