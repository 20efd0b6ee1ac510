using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

internal sealed class WarmPoolOptionsValidation : IValidateOptions<WarmPoolOptions>
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    public ValidateOptionsResult Validate(string? name, WarmPoolOptions options)
    {
        var faults = new List<string>();
        if (options.Size < 0)
        {
            faults.Add($"NeoCommons:WarmPool:Size is {options.Size}; it must not be negative.");
        }

        if (options.RefillInterval < Shortest || options.RefillInterval > Longest)
        {
            faults.Add(
                $"NeoCommons:WarmPool:RefillInterval is {options.RefillInterval}; it must be between 1 s and 1 day."
            );
        }

        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }
}
