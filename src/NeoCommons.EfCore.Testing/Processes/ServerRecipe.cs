namespace NeoCommons.EfCore.Testing;

/// <summary>What <see cref="OwnServer"/> must know of a kind of server.</summary>
/// <param name="Name">For messages.</param>
/// <param name="User">Who it runs as; null for the current user.</param>
/// <param name="DeathSignal">What ends it at once: sent by the system when this process dies, and when it is disposed.</param>
/// <param name="StartTimeout">How long it may take until it is ready.</param>
/// <param name="Prepare">Writes what it needs for a port and returns its command line.</param>
/// <param name="IsReady">Whether this very process accepts connections on its port.</param>
internal sealed record ServerRecipe(
    string Name,
    ServerUser? User,
    Signal DeathSignal,
    TimeSpan StartTimeout,
    Func<InstanceDirectory, int, IEnumerable<string>> Prepare,
    Func<InstanceDirectory, ServerProcess, bool> IsReady
)
{
    /// <summary>
    /// For small servers that say in their log that they are ready. Connecting to the port would prove nothing: it may
    /// belong to somebody else.
    /// </summary>
    public static ServerRecipe ReadyWhenLogged(
        string name,
        ServerUser? user,
        string message,
        Func<InstanceDirectory, int, IEnumerable<string>> prepare
    ) =>
        new(
            name,
            user,
            Signal.Kill,
            TimeSpan.FromSeconds(30),
            prepare,
            (directory, _) => directory.ReadLog().Contains(message, StringComparison.Ordinal)
        );
}
