namespace NeoCommons.EfCore.Testing;

/// <summary>No source of a test server is available on this machine. The message says what was looked for, in order.</summary>
public sealed class ServerNotFoundException : Exception
{
    internal ServerNotFoundException(
        string server,
        IReadOnlyList<string> lookedFor,
        string remedy,
        Exception? inner = null
    )
        : base($"No {server} to test with. Looked for: {string.Join("; ", lookedFor)}. {remedy}", inner)
    {
        Server = server;
        LookedFor = lookedFor;
    }

    /// <summary>The kind of server that is missing, for example <c>PostgreSQL</c>.</summary>
    public string Server { get; }

    /// <summary>What was looked for, in the order in which it was tried, each with the reason why it was not used.</summary>
    public IReadOnlyList<string> LookedFor { get; }
}
