namespace NeoCommons.EfCore.Admin;

internal sealed class TenantProvisioner(
    TenantCreation creation,
    TemplateRefresh template,
    TenantStates states,
    TenantLimiting limiting,
    TenantRemoval removal
) : ITenantProvisioner
{
    public Task<Tenant> CreateAsync(NewTenant tenant, CancellationToken ct = default) =>
        creation.CreateAsync(tenant, ct);

    public Task RefreshTemplateAsync(string connectionName, CancellationToken ct = default) =>
        template.RefreshAsync(connectionName, ct);

    public Task<Tenant> SuspendAsync(TenantId tenant, string? reason = null, CancellationToken ct = default) =>
        states.SuspendAsync(tenant, reason, ct);

    public Task<Tenant> ResumeAsync(TenantId tenant, CancellationToken ct = default) => states.ResumeAsync(tenant, ct);

    public Task<Tenant> RenameAsync(TenantId tenant, TenantRename rename, CancellationToken ct = default) =>
        states.RenameAsync(tenant, rename, ct);

    public Task<Tenant> LimitAsync(TenantId tenant, TenantLimits limits, CancellationToken ct = default) =>
        limiting.SetAsync(tenant, limits, ct);

    public Task<Tenant> ArchiveAsync(
        TenantId tenant,
        TimeSpan? retention = null,
        string? reason = null,
        CancellationToken ct = default
    ) => states.ArchiveAsync(tenant, retention, reason, ct);

    public Task<Tenant> RestoreAsync(TenantId tenant, CancellationToken ct = default) =>
        states.RestoreAsync(tenant, ct);

    public Task DeleteAsync(TenantId tenant, TenantDeletion deletion, CancellationToken ct = default) =>
        removal.DeleteAsync(tenant, deletion, ct);
}
