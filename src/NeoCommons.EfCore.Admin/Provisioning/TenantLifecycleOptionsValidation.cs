using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

internal sealed class TenantLifecycleOptionsValidation : IValidateOptions<TenantLifecycleOptions>
{
    public ValidateOptionsResult Validate(string? name, TenantLifecycleOptions options)
    {
        var faults = FindFaults(options).ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    private static IEnumerable<string> FindFaults(TenantLifecycleOptions options)
    {
        if (options.Retention < TimeSpan.Zero)
        {
            yield return $"NeoCommons:Lifecycle:Retention is {options.Retention}; it must not be negative.";
        }

        if (options.DropBatch < 1)
        {
            yield return $"NeoCommons:Lifecycle:DropBatch is {options.DropBatch}; it must be at least 1.";
        }

        if (string.IsNullOrWhiteSpace(options.PgDump))
        {
            yield return "NeoCommons:Lifecycle:PgDump is empty; name the program, pg_dump for one.";
        }
    }
}
