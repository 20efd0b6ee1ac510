namespace NeoCommons.EfCore.Testing;

/// <summary>What went through a <see cref="TcpFaultProxy"/>, at one moment, since its start or its last reset.</summary>
/// <param name="RoundTrips">
/// Round trips, over all connections. A round trip is one turn of a connection: the client sends something, once or
/// several times, and then receives something. Further replies count again only after the client sent again, so a
/// message that the server sends on its own (a notification) is none, and neither is a request that is never answered.
/// </param>
/// <param name="BytesToServer">Bytes passed on to the server.</param>
/// <param name="BytesToClient">Bytes passed on to clients.</param>
/// <param name="Connections">Connections that clients opened.</param>
/// <param name="OpenConnections">Connections that are open now. A reset leaves this number.</param>
public sealed record TcpProxyCounters(
    long RoundTrips,
    long BytesToServer,
    long BytesToClient,
    long Connections,
    int OpenConnections
);
