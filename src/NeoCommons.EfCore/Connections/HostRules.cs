using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NeoCommons.EfCore;

/// <summary>Which hosts a registered row may name.</summary>
/// <remarks>
/// One name or address: a comma is a list for the driver, a slash or an at sign a socket. Never a cloud's metadata service, in any
/// spelling that a resolver takes for its address; a name is not looked up, so that where names of others can be registered,
/// <see cref="ConnectionOptions.AllowedHosts"/> is the rule that counts.
/// </remarks>
internal static class HostRules
{
    private const int LongestHost = 253;
    private const string AnyHostBelow = "*.";

    private static readonly HashSet<string> MetadataNames = new(StringComparer.OrdinalIgnoreCase)
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
    };

    // Where no database is: this host, link-local with most metadata services, theirs at Alibaba, Oracle and Azure, multicast,
    // reserved and broadcast.
    private static readonly IPNetwork[] Refused =
    [
        IPNetwork.Parse("0.0.0.0/8"),
        IPNetwork.Parse("169.254.0.0/16"),
        IPNetwork.Parse("100.100.100.200/32"),
        IPNetwork.Parse("192.0.0.192/32"),
        IPNetwork.Parse("168.63.129.16/32"),
        IPNetwork.Parse("224.0.0.0/3"),
        IPNetwork.Parse("::/128"),
        IPNetwork.Parse("fe80::/10"),
        IPNetwork.Parse("ff00::/8"),
        IPNetwork.Parse("fd00:ec2::/32"),
        IPNetwork.Parse("fd20:ce::/32"),
    ];

    /// <summary>What is wrong with a host, as the end of a sentence; null where it may be used.</summary>
    public static string? FindFault(string host, IList<string> allowed)
    {
        // Digits and dots of other alphabets become ours on the way to the resolver, and an address with them.
        if (
            !Ascii.IsValid(host)
            || host.Length > LongestHost
            || Uri.CheckHostName(host) is UriHostNameType.Unknown or UriHostNameType.Basic
        )
        {
            return "its host must be one host name or IP address in ASCII (a name in another alphabet in its xn-- form), with no "
                + "list, socket path, port or space";
        }

        var bare = host.TrimEnd('.');
        IPAddress.TryParse(bare, out var address);
        if (address is null ? MetadataNames.Contains(bare) : IsRefused(address))
        {
            return $"its host {host} is an unspecified, link-local, multicast, broadcast or metadata address, where no database is";
        }

        return allowed.Count == 0 || allowed.Any(rule => Allows(rule, bare, address))
            ? null
            : $"its host {host} is not in NeoCommons:Connections:AllowedHosts";
    }

    /// <summary>Whether a text is a rule: a name, <c>*.</c> and a name, an address, or a network in CIDR notation.</summary>
    public static bool IsRule(string text) =>
        IPNetwork.TryParse(text, out _)
        || Uri.CheckHostName(text.StartsWith(AnyHostBelow, StringComparison.Ordinal) ? text[2..] : text)
            is UriHostNameType.Dns
                or UriHostNameType.IPv4
                or UriHostNameType.IPv6;

    private static bool Allows(string rule, string host, IPAddress? address)
    {
        if (address is not null)
        {
            var plain = Plain(address);
            return IPNetwork.TryParse(rule, out var network)
                ? network.Contains(plain)
                : IPAddress.TryParse(rule, out var one) && Plain(one).Equals(plain);
        }

        rule = rule.TrimEnd('.');
        return rule.StartsWith(AnyHostBelow, StringComparison.Ordinal)
            ? host.EndsWith(rule[1..], StringComparison.OrdinalIgnoreCase)
            : host.Equals(rule, StringComparison.OrdinalIgnoreCase);
    }

    private static bool IsRefused(IPAddress address)
    {
        var plain = Plain(address);
        return Refused.Any(network => network.Contains(plain));
    }

    /// <summary>The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (NAT64) or 6to4.</summary>
    private static IPAddress Plain(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }

        var bytes = address.GetAddressBytes().AsSpan();
        var isLow = bytes[..12].IndexOfAnyExcept((byte)0) < 0 && bytes[12] != 0;
        if (address.IsIPv4MappedToIPv6 || isLow || bytes[..12].SequenceEqual(Translated))
        {
            return new IPAddress(bytes[12..]);
        }

        // Without its zone, which no network has.
        return bytes[..2].SequenceEqual(SixToFour) ? new IPAddress(bytes[2..6]) : new IPAddress(bytes);
    }

    private static ReadOnlySpan<byte> Translated => [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

    private static ReadOnlySpan<byte> SixToFour => [0x20, 0x02];
}
