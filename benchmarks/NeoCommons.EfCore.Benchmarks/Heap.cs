namespace NeoCommons.EfCore.Benchmarks;

/// <summary>What is left on the managed heap.</summary>
internal static class Heap
{
    /// <summary>The bytes that a full collection leaves.</summary>
    public static long Bytes()
    {
        // What was closed just now is let go by finalizers, and what they held by the next collection.
        for (var i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        return GC.GetTotalMemory(forceFullCollection: true);
    }
}
