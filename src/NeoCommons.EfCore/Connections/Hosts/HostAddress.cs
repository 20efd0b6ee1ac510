using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>One server of a connection.</summary>
internal readonly record struct HostAddress(string Host, int Port)
{
    /// <summary>Where the driver was told to connect.</summary>
    public static HostAddress Of(NpgsqlConnectionStringBuilder settings) => new(settings.Host ?? "", settings.Port);

    /// <summary>All servers of a row, its own host first; of a row with faults those that can be read.</summary>
    public static IReadOnlyList<HostAddress> AllOf(DatabaseConnection row) =>
        [
            new HostAddress(Bracket(row.Host), row.Port),
            .. row.ReplicaHosts.Select(text => Parse(text, row.Port)).OfType<HostAddress>(),
        ];

    /// <summary>Reads <c>host</c>, <c>host:port</c>, <c>[address]</c> or <c>[address]:port</c>; null where it is none of them.</summary>
    public static HostAddress? Parse(string text, int defaultPort)
    {
        var colon = text.LastIndexOf(':');

        // An IPv6 address has several, and one with a port has brackets.
        var hasPort = colon > 0 && (text[colon - 1] == ']' || text.IndexOf(':', StringComparison.Ordinal) == colon);
        if (!hasPort)
        {
            return new HostAddress(Bracket(text), defaultPort);
        }

        return
            int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && port is > IPEndPoint.MinPort and <= IPEndPoint.MaxPort
            ? new HostAddress(Bracket(text[..colon]), port)
            : null;
    }

    /// <summary>As the driver and a row have it in a list.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");

    // The driver takes the last colon of an item of its list for the port's.
    private static string Bracket(string host) =>
        IPAddress.TryParse(host, out var address)
        && address.AddressFamily == AddressFamily.InterNetworkV6
        && !host.StartsWith('[')
            ? $"[{host}]"
            : host;
}
