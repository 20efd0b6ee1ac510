using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>Stops the start with everything that is wrong at once, and with what to set.</summary>
internal sealed class AdminDatabaseOptionsValidation : IValidateOptions<AdminDatabaseOptions>
{
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(1);
    private static readonly TimeSpan ShortestLease = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LongestLease = TimeSpan.FromHours(1);
    private static readonly TimeSpan LongestMemory = TimeSpan.FromDays(365);

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

        foreach (var keyFault in FindKeyFaults(options))
        {
            yield return keyFault;
        }

        if (options.RefreshInterval < ShortestInterval || options.RefreshInterval > LongestInterval)
        {
            yield return $"NeoCommons:AdminDatabase:RefreshInterval is {options.RefreshInterval}; it must be between 100 ms and "
                + "1 day.";
        }

        if (options.LastKnownGoodFor < options.RefreshInterval || options.LastKnownGoodFor > LongestMemory)
        {
            yield return $"NeoCommons:AdminDatabase:LastKnownGoodFor is {options.LastKnownGoodFor}; it must not be shorter than "
                + $"RefreshInterval, which is {options.RefreshInterval}, nor longer than 365 days.";
        }

        if (options.ServerLease < ShortestLease || options.ServerLease > LongestLease)
        {
            yield return $"NeoCommons:AdminDatabase:ServerLease is {options.ServerLease}; it must be between 3 seconds and 1 hour, or "
                + "not be there.";
        }

        if (options.CachedTenants < 1)
        {
            yield return $"NeoCommons:AdminDatabase:CachedTenants is {options.CachedTenants}; it must be at least 1.";
        }
    }

    private static IReadOnlyList<string> FindKeyFaults(AdminDatabaseOptions options)
    {
        if (options.KeysAreElsewhere)
        {
            return [];
        }

        var keys = options.EncryptionKey;
        if (options.EncryptionKeyFile is { } path)
        {
            if (!string.IsNullOrWhiteSpace(keys))
            {
                return
                [
                    $"{FernetKeys.Variable} and {KeyFile.Variable} are both set. Remove one: it would not be clear which one counts.",
                ];
            }

            try
            {
                keys = KeyFile.Read(path);
            }
            catch (FormatException e)
            {
                return [e.Message];
            }
        }

        FernetKeys.TryParse(keys, out _, out var faults);
        return faults;
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
