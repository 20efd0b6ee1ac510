namespace NeoCommons.EfCore.Admin;

/// <summary>Work that may outlast those who wait for it.</summary>
internal static class Unawaited
{
    /// <summary>Nobody may be waiting when it ends: its failure is no news then, to the runtime neither.</summary>
    public static TTask LetGo<TTask>(this TTask work)
        where TTask : Task
    {
        _ = SeeAsync(work);
        return work;

        static async Task SeeAsync(Task work) => await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
