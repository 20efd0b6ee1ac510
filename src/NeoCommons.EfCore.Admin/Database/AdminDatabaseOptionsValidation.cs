using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Stops the start with everything that is wrong at once, and with what to set.</summary>
internal sealed class AdminDatabaseOptionsValidation : IValidateOptions<AdminDatabaseOptions>
{
    public ValidateOptionsResult Validate(string? name, AdminDatabaseOptions options)
    {
        var faults = FindFaults(options).ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    private static IEnumerable<string> FindFaults(AdminDatabaseOptions options)
    {
        if (FaultOfConnectionString(options.ConnectionString) is { } fault)
        {
            yield return fault;
        }

        FernetKeys.TryParse(options.EncryptionKey, out _, out var keyFaults);
        foreach (var keyFault in keyFaults)
        {
            yield return keyFault;
        }

        if (
            options.RefreshInterval < TimeSpan.FromMilliseconds(100)
            || options.LastKnownGoodFor < options.RefreshInterval
        )
        {
            yield return $"NeoCommons:AdminDatabase: RefreshInterval is {options.RefreshInterval} and LastKnownGoodFor is "
                + $"{options.LastKnownGoodFor}; the first must be at least 100 ms, the second not shorter than the first.";
        }

        if (options.CachedTenants < 1)
        {
            yield return $"NeoCommons:AdminDatabase:CachedTenants is {options.CachedTenants}; it must be at least 1.";
        }
    }

    private static string? FaultOfConnectionString(string? text)
    {
        try
        {
            AdminDatabaseUrl.Parse(text);
            return null;
        }
        catch (FormatException e)
        {
            return e.Message;
        }
    }
}
