namespace NeoCommons.EfCore;

/// <summary>To changes that never come.</summary>
internal sealed class NoSubscription : IDisposable
{
    public static readonly NoSubscription Instance = new();

    public void Dispose() { }
}
