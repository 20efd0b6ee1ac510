using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

internal sealed class ConnectionOptionsValidation(IServiceProviderIsService registered)
    : IValidateOptions<ConnectionOptions>
{
    public ValidateOptionsResult Validate(string? name, ConnectionOptions options) =>
        options.FindFaults().Concat(MissingServices()).ToResult();

    private IEnumerable<string> MissingServices() =>
        new[] { typeof(IConnectionRegistry), typeof(ITenantStore) }
            .Where(type => !registered.IsService(type))
            .Select(type =>
                $"No {type.Name} is registered: call UseAdminDatabase() after AddNeoCommons(), or register your own."
            );
}
