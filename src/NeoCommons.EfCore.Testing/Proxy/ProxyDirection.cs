namespace NeoCommons.EfCore.Testing;

/// <summary>Which way bytes flow through a <see cref="TcpFaultProxy"/>.</summary>
[Flags]
public enum ProxyDirection
{
    /// <summary>Requests: from the client to the server.</summary>
    ToServer = 1,

    /// <summary>Replies: from the server to the client.</summary>
    ToClient = 2,

    /// <summary>Both ways.</summary>
    Both = ToServer | ToClient,
}
