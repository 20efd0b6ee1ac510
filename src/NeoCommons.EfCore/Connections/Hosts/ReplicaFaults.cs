namespace NeoCommons.EfCore;

/// <summary>Checks what a registered row says of further hosts, by the rules for its own.</summary>
internal static class ReplicaFaults
{
    private const int Most = 15;

    public static IEnumerable<RowFault> Find(DatabaseConnection row, ConnectionOptions options)
    {
        if (row.ReplicaHosts.Count > Most)
        {
            yield return Fault($"it names {row.ReplicaHosts.Count} replica hosts, and {Most} are the most");
            yield break;
        }

        var known = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { NameOf(new(row.Host, row.Port)) };
        foreach (var text in row.ReplicaHosts)
        {
            if (HostAddress.Parse(text, row.Port) is not { } address)
            {
                yield return Fault($"its replica host '{text}' has a port that is not between 1 and 65535");
            }
            else if (HostRules.FindFault(address.Host, options.AllowedHosts) is { } fault)
            {
                yield return Fault($"its replica host '{text}' cannot be used: {fault}");
            }
            else if (!known.Add(NameOf(address)))
            {
                yield return Fault($"it names the host {address} twice");
            }
        }

        static RowFault Fault(string text) => new("replica hosts", text);
    }

    private static string NameOf(HostAddress address) =>
        (address with { Host = address.Host.Trim('[', ']').TrimEnd('.') }).ToString();
}
