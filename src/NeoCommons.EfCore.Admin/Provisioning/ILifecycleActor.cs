namespace NeoCommons.EfCore.Admin;

/// <summary>Says who makes a change, for the audit in <c>admin.tenant_events</c>.</summary>
/// <remarks>A singleton. Replace it, before or after <c>UseAdminDatabase</c>, where a request has a user of its own.</remarks>
public interface ILifecycleActor
{
    /// <summary>Who is at work now. <value>Default: the user of the process and the machine, <c>user@machine</c>.</value></summary>
    string Name { get; }
}
