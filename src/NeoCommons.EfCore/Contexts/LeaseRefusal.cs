namespace NeoCommons.EfCore;

/// <summary>Why a context does not open its connection, or execute a command on it; nothing was executed.</summary>
internal static class LeaseRefusal
{
    public static TenantIsolationException NoTenant() =>
        new(
            "This context has no tenant, so it cannot open a connection. Make contexts with ITenantDbContextFactory<T>, or "
                + "inject them where ITenantContext has a tenant. EF's tools and bundles migrate no tenant: ITenantMigrator does."
        );

    public static TenantIsolationException Exchanged(Tenant tenant) =>
        new(
            $"The connection of this context was exchanged, and the new one is not bound to tenant '{tenant.Slug}'. Make "
                + "another context instead of calling SetDbConnection or SetConnectionString.",
            tenant.Id
        );

    public static TenantIsolationException NotBound(Tenant? tenant) =>
        new(
            "The connection of this context was opened or exchanged behind its back, so it is not bound to "
                + (tenant is null ? "a tenant" : $"tenant '{tenant.Slug}'")
                + ". Let the context open it, with Database.OpenConnectionAsync() where it must stay open.",
            tenant?.Id
        );
}
