using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary>How a command names a tenant: by slug or id, which cannot be taken for each other.</summary>
internal static class TenantReference
{
    public static Argument<string> NewArgument() =>
        new("tenant") { Description = "The slug of the tenant, or its id." };

    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    public static Task<Tenant> FindAsync(CommandRun run, Argument<string> argument, CancellationToken ct) =>
        FindAsync(run, run.Required(argument), ct);

    /// <exception cref="TenantNotFoundException">There is no such tenant.</exception>
    public static async Task<Tenant> FindAsync(CommandRun run, string text, CancellationToken ct)
    {
        var tenants = run.Get<ITenantStore>();
        if (TenantId.TryParse(text, null, out var id))
        {
            return await tenants.FindAsync(id, ct).ConfigureAwait(false) ?? throw new TenantNotFoundException(id);
        }

        var tenant = TenantSlug.IsValid(text) ? await tenants.FindBySlugAsync(text, ct).ConfigureAwait(false) : null;
        return tenant ?? throw new TenantNotFoundException(text);
    }
}
