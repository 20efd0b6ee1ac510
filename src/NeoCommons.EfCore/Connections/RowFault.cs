namespace NeoCommons.EfCore;

/// <summary>What is wrong with a registered row.</summary>
/// <param name="What">The part of the row, in a word or two that show no value.</param>
/// <param name="Text">The whole fault, for whoever mends it; a host or a number may stand in it, never a secret.</param>
internal readonly record struct RowFault(string What, string Text)
{
    /// <summary>All faults as one text.</summary>
    public static string Join(IEnumerable<RowFault> faults) => string.Join("; ", faults.Select(f => f.Text));
}
