using Microsoft.Extensions.Options;
using NeoCommons.EfCore;

namespace Microsoft.Extensions.DependencyInjection;

internal sealed class SchemaNamingValidation : IValidateOptions<SchemaNaming>
{
    public ValidateOptionsResult Validate(string? name, SchemaNaming options) => options.FindFaults().ToResult();
}
