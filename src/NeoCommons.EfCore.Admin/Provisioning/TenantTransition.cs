namespace NeoCommons.EfCore.Admin;

/// <summary>From which status what can be done.</summary>
internal static class TenantTransition
{
    /// <summary>Whether it is done already: who repeats a command after a crash gets the answer that was lost.</summary>
    public static bool IsDone(TenantLifecycleAction action, TenantStatus status) =>
        (action, status)
            is
                (TenantLifecycleAction.Suspend, TenantStatus.Suspended)
                or
                (TenantLifecycleAction.Resume, TenantStatus.Active)
                or
                (TenantLifecycleAction.Archive, TenantStatus.Archived)
                or
                (TenantLifecycleAction.Restore, TenantStatus.Active or TenantStatus.Suspended);

    /// <exception cref="TenantStateException">It cannot be done to a tenant of this status.</exception>
    public static void ThrowIfRefused(TenantLifecycleAction action, TenantEntity row) =>
        ThrowIfRefused(action, row.Slug, row.Status);

    /// <exception cref="TenantStateException">It cannot be done to a tenant of this status.</exception>
    public static void ThrowIfRefused(TenantLifecycleAction action, string slug, TenantStatus status)
    {
        var remedy = (action, status) switch
        {
            (_, TenantStatus.Provisioning) =>
                "Wait until it is provisioned, or create it again if that was interrupted.",
            (TenantLifecycleAction.Delete, not TenantStatus.Archived) => "Archive it first.",
            (not (TenantLifecycleAction.Delete or TenantLifecycleAction.Restore), TenantStatus.Archived) =>
                "Restore it first.",
            _ => null,
        };
        if (remedy is not null)
        {
            throw new TenantStateException(
                slug,
                status,
                $"Tenant '{slug}' is {Word(status)}, so to {Word(action)} it is refused. {remedy}"
            );
        }
    }

    public static string Word<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();
}
