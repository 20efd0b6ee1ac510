namespace WebSample.Demo;

/// <summary>How much data each shop of the demo gets. Bound from section <c>Demo</c>.</summary>
internal sealed class DemoVolume
{
    public int Products { get; set; } = 1_000;

    public int Customers { get; set; } = 2_000;

    public int Orders { get; set; } = 10_000;
}
