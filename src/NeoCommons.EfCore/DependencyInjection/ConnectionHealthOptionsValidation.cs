using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

internal sealed class ConnectionHealthOptionsValidation : IValidateOptions<ConnectionHealthOptions>
{
    public ValidateOptionsResult Validate(string? name, ConnectionHealthOptions options) =>
        options.FindFaults().ToResult();
}
