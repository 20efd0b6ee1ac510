using Microsoft.AspNetCore.Http;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>The tenant in a header of the request.</summary>
internal static class TenantHeader
{
    public static TenantSource Named(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        return new TenantSource($"in header '{name}'", context => Find(context.Request, name));
    }

    private static string? Find(HttpRequest request, string name)
    {
        var values = request.Headers[name];
        string? found = null;
        foreach (var value in values)
        {
            // A proxy may have joined repeated headers with commas; no slug holds one.
            foreach (var part in (value ?? "").Split(',', StringSplitOptions.TrimEntries))
            {
                if (found is { Length: > 0 } && part.Length > 0 && part != found)
                {
                    throw new TenantNotResolvedException(
                        $"Header '{name}' names several tenants, and none of them is more right than another. Send it once."
                    );
                }

                found = part.Length > 0 ? part : found;
            }
        }

        return found;
    }
}
