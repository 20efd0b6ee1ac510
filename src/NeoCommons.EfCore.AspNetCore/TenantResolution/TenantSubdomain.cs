namespace NeoCommons.EfCore.AspNetCore;

/// <summary>The tenant as the one label before a base domain.</summary>
internal static class TenantSubdomain
{
    public static TenantSource Of(string baseDomain)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(baseDomain);
        var domain = Normalize(baseDomain.Trim().TrimStart('.'));
        if (Uri.CheckHostName(domain) != UriHostNameType.Dns || !domain.All(char.IsAscii))
        {
            throw new ArgumentException(
                $"'{baseDomain}' is not a domain under which tenants can have subdomains. Give a name such as shop.example: "
                    + "no scheme, port or wildcard, no IP address, and Punycode (xn--...) for other letters than ASCII.",
                nameof(baseDomain)
            );
        }

        var suffix = "." + domain;
        return new TenantSource(
            $"as a subdomain of '{domain}'",
            context => Find(Normalize(context.Request.Host.Host), suffix)
        );
    }

    private static string? Find(string host, string suffix)
    {
        if (host.Length <= suffix.Length || !host.EndsWith(suffix, StringComparison.Ordinal))
        {
            return null;
        }

        var label = host[..^suffix.Length];
        return label.Contains('.', StringComparison.Ordinal) ? null : label;
    }

    // Names are the same in any letter case, and with the dot that ends a full one.
    private static string Normalize(string host) => (host.EndsWith('.') ? host[..^1] : host).ToLowerInvariant();
}
