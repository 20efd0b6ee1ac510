namespace NeoCommons.EfCore.Admin;

/// <summary>Takes part in what is done to tenants; add one with <c>AddTenantLifecycleHandler</c>.</summary>
/// <remarks>
/// Handlers are called in the order of their registration, in a DI scope of the change's own, in the process that makes
/// the change. A change that is repeated after a crash calls them again. What must be written into a new tenant before it
/// can be used is for an <see cref="ITenantSeeder"/>.
/// </remarks>
public interface ITenantLifecycleHandler
{
    /// <summary>Called before anything is changed; an exception vetoes the change and reaches whoever asked for it.</summary>
    Task BeforeAsync(TenantLifecycleChange change, CancellationToken ct = default) => Task.CompletedTask;

    /// <summary>Called when the change is committed; an exception is logged, since the change stands.</summary>
    Task AfterAsync(TenantLifecycleChange change, CancellationToken ct = default) => Task.CompletedTask;
}
