namespace NeoCommons.EfCore.Admin;

internal sealed class ProcessActor : ILifecycleActor
{
    public string Name { get; } = $"{Environment.UserName}@{Environment.MachineName}";
}
