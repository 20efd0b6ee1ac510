using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

internal static class Faults
{
    /// <summary>All faults of an options object at once.</summary>
    public static ValidateOptionsResult ToResult(this IEnumerable<string> faults)
    {
        var all = faults.ToList();
        return all.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(all);
    }
}
