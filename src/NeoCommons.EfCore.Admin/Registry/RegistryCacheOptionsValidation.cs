using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

internal sealed class RegistryCacheOptionsValidation : IValidateOptions<RegistryCacheOptions>
{
    public ValidateOptionsResult Validate(string? name, RegistryCacheOptions options)
    {
        var faults = Find(options).ToList();
        return faults.Count > 0 ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
    }

    private static IEnumerable<string> Find(RegistryCacheOptions options)
    {
        if (options.ConnectionString is { } address && FaultOf(address) is { } fault)
        {
            yield return $"{RedisAddress.Variable} or NeoCommons:Redis:ConnectionString: {fault}";
        }

        if (options.Timeout < TimeSpan.FromMilliseconds(10) || options.Timeout > TimeSpan.FromSeconds(10))
        {
            yield return $"NeoCommons:Redis:Timeout is {options.Timeout}; it must be between 10 ms and 10 s.";
        }

        if (options.BreakDuration < TimeSpan.FromMilliseconds(500) || options.BreakDuration > TimeSpan.FromDays(1))
        {
            yield return $"NeoCommons:Redis:BreakDuration is {options.BreakDuration}; it must be between 500 ms and 1 day.";
        }
    }

    private static string? FaultOf(string address)
    {
        try
        {
            RedisAddress.Parse(address);
            return null;
        }
        catch (FormatException e)
        {
            return e.Message;
        }
    }
}
