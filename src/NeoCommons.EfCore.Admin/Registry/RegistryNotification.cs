namespace NeoCommons.EfCore.Admin;

/// <summary>What the triggers of the registry's tables say: a tenant with the slugs it had and has, or the connections.</summary>
/// <param name="Tenant">The changed tenant; null: the connections have changed, or nobody here knows what.</param>
/// <param name="Slugs">Its slugs.</param>
/// <param name="IsKnown">Whether the text was understood.</param>
internal sealed record RegistryNotification(TenantId? Tenant, IReadOnlyList<string> Slugs, bool IsKnown)
{
    public const string Channel = "neocommons_registry";

    public static RegistryNotification Parse(string payload) =>
        payload.Split(' ', StringSplitOptions.RemoveEmptyEntries) switch
        {
            ["tenant", var id, .. var slugs] when TenantId.TryParse(id, null, out var tenant) => new(
                tenant,
                slugs,
                true
            ),
            ["connections"] => new(null, [], true),
            _ => new(null, [], false),
        };
}
